/** Why something did not happen, in the language of the page.
 *
 * The server tells reasons as English sentences: they stand in its rows, its log and its webhook. Here they are known by
 * their form; one that is not known, and what operators wrote themselves, stays as it is.
 */

import { useTranslation } from 'react-i18next'

import { explainChinese } from './cron-zh'
import forms from './reasons-zh.json'

const known = forms.map(([form = '', chinese = '']) => ({ form: new RegExp(form, 's'), chinese }))

export function inChinese(reason: string): string {
  const found = known.find(({ form }) => form.test(reason))
  return found ? reason.replace(found.form, found.chinese) : reason
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
