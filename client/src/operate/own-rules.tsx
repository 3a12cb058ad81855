/** Rules that operators write themselves: an expression over what can be counted, or words. */

import { Button, Select, TextInput } from '@mantine/core'
import { type ReactNode, useState } from 'react'

import { Close, Plus } from '../icons'
import { IconButton } from '../parts/icon-button'
import style from './rewards.module.css'
import type { ProfileContent, Rule } from './shapes'
import { useWords } from './words'

interface OwnRulesProps {
  content: ProfileContent
  measures: string[]
  onChange: (change: Partial<ProfileContent>) => void
  /** The weight of one of them. */
  children: (name: string) => ReactNode
}

type Kind = 'expression' | 'words'

export function OwnRules({ content, measures, onChange, children }: OwnRulesProps) {
  const t = useWords()
  const [name, setName] = useState('')
  const [kind, setKind] = useState<Kind>('expression')
  const [says, setSays] = useState('')
  const { rules, weights } = content
  const add = () => {
    const rule = kind === 'words' ? wordsIn(says) : says.trim()
    onChange({ rules: { ...rules, [name.trim()]: rule }, weights: { ...weights, [name.trim()]: 1 } })
    setName('')
    setSays('')
  }
  const without = <T,>(table: Record<string, T>, gone: string) =>
    Object.fromEntries(Object.entries(table).filter(([one]) => one !== gone))
  return (
    <fieldset className={style.own}>
      <legend>{t('reward.own')}</legend>
      <p className={style.hint}>{t('reward.ownHint')}</p>
      <ul className={style.rules}>
        {Object.entries(rules).map(([one, rule]) => (
          <li key={one}>
            {children(one)}
            <code>{told(rule)}</code>
            <IconButton
              label={t('reward.removeRule', { name: one })}
              onClick={() => onChange({ rules: without(rules, one), weights: without(weights, one) })}
            >
              <Close size={16} />
            </IconButton>
          </li>
        ))}
      </ul>
      <div className={style.newRule}>
        <TextInput size="xs" label={t('reward.ruleName')} value={name} onChange={(event) => setName(event.currentTarget.value)} maxLength={64} />
        <Select
          size="xs"
          label={t('reward.ruleIs')}
          data={(['expression', 'words'] as const).map((value) => ({ value, label: t(`reward.${value}`) }))}
          value={kind}
          onChange={(value) => value !== null && setKind(value)}
          allowDeselect={false}
        />
        <TextInput size="xs" label={t('reward.ruleSays')} value={says} onChange={(event) => setSays(event.currentTarget.value)} maxLength={400} />
        <Button size="xs" variant="default" leftSection={<Plus size={14} />} disabled={name.trim() === '' || says.trim() === ''} onClick={add}>
          {t('reward.addRule')}
        </Button>
      </div>
      <details className={style.more}>
        <summary>{t('reward.measures')}</summary>
        <p className={style.measures}>{measures.join(', ')}</p>
      </details>
    </fieldset>
  )
}

/** Words with commas between them, of either script. */
export function wordsIn(text: string): string[] {
  return text.split(/[,，]/).flatMap((word) => word.trim() || [])
}

function told(rule: Rule): string {
  return typeof rule === 'string' ? rule : rule.join(', ')
}
