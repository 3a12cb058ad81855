/** Why something did not happen, in the language of the page: what the gate found, how a run failed, what was refused.
 *
 * The server tells reasons as English sentences: they stand in its rows, its log, its refusals and its webhook. Here they
 * are known by their form; one that is not known, and what operators wrote themselves, stays as it is.
 */

import { useTranslation } from 'react-i18next'

import { explainChinese } from './cron-zh'
import forms from './reasons-zh.json'
import { zh } from './words-zh'

const known = forms.map(([form = '', chinese = '']) => ({ form: new RegExp(form, 's'), chinese }))

/** Single words that stand inside sentences. */
const words = new Map(
  Object.entries({
    ...zh.stage,
    ...zh.state,
    ...zh.person.roles,
    aspect: '评分项',
    reason: '理由',
    reward: '奖励',
    limit: '限制',
    recipe: '配方',
    profile: '奖励方案',
    opinion: '意见',
    comparison: '比较',
    English: '英文',
    Chinese: '中文',
  }),
)

/** In a form's Chinese, `$1` is what stood in its first place, and `{1}` the same told in Chinese: a reason in a reason. */
const places = /\$(\d)|\{(\d)\}/g

export function inChinese(reason: string): string {
  for (const { form, chinese } of known) {
    const found = form.exec(reason)
    if (found) {
      return chinese.replace(places, (_, asItIs?: string, told?: string) =>
        asItIs === undefined ? wordOrReason(found[Number(told)] ?? '') : (found[Number(asItIs)] ?? ''),
      )
    }
  }
  return reason
}

function wordOrReason(text: string): string {
  return words.get(text) ?? inChinese(text)
}

export function useReason(): (reason: string) => string {
  const { i18n } = useTranslation()
  return i18n.language === 'zh' ? inChinese : (reason) => reason
}

/** What a cron text means; the server says it in English. */
export function useExplained(): (cron: string, english: string) => string {
  const { i18n } = useTranslation()
  return i18n.language === 'zh' ? (cron, english) => explainChinese(cron) ?? english : (_, english) => english
}
