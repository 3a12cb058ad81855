/** Who may chat: anybody, whoever signs up, whoever is invited, or nobody new. */

import { Button } from '@mantine/core'
import { useState } from 'react'

import { toast } from '../parts/toast'
import { useMe } from '../people/me'
import { useChooseEntrance, useEntranceRules } from './calls'
import { Choice } from './choice'
import choices from './choice.module.css'
import style from './entrance.module.css'
import { Trouble } from './parts'
import { type EntranceMode, entranceModes } from './shapes'
import { useWords } from './words'

/** On the page about people, folded: one line tells how it is. The welcome asks the same. */
export function EntrancePanel() {
  const t = useWords()
  const isAdmin = useMe().data?.role === 'admin'
  const entrance = useEntranceRules()
  const choose = useChooseEntrance()
  const [chosen, setChosen] = useState<EntranceMode | null>(null)
  if (entrance.error) return <Trouble error={entrance.error} onRetry={() => void entrance.refetch()} />
  if (!entrance.data) return null
  const { signup, fixed } = entrance.data
  const mode = chosen ?? signup
  const save = () => choose.mutate(mode, { onSuccess: () => void toast({ message: t('entrance.saved') }) })
  return (
    <details className={style.entrance}>
      <summary>
        {t('entrance.title')}: {t(`entrance.modes.${signup}`)}
      </summary>
      <p>{t(fixed ? 'entrance.fixed' : isAdmin ? 'entrance.text' : 'entrance.adminOnly')}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          save()
        }}
      >
        <EntranceChoices mode={mode} isDisabled={fixed || !isAdmin} onChoose={setChosen} />
        <Trouble error={choose.error} />
        {isAdmin && !fixed && (
          <div className={style.foot}>
            <Button type="submit" disabled={mode === signup} loading={choose.isPending}>
              {t('save')}
            </Button>
          </div>
        )}
      </form>
    </details>
  )
}

interface EntranceChoicesProps {
  mode: EntranceMode | undefined
  isDisabled: boolean
  onChoose: (mode: EntranceMode) => void
}

export function EntranceChoices({ mode, isDisabled, onChoose }: EntranceChoicesProps) {
  const t = useWords()
  return (
    <fieldset className={choices.choices}>
      <legend className="visually-hidden">{t('entrance.title')}</legend>
      {entranceModes.map((it) => (
        <Choice
          key={it}
          group="signup"
          name={it}
          title={t(`entrance.modes.${it}`)}
          text={t(`entrance.modes.${it}Text`)}
          isChosen={it === mode}
          isDisabled={isDisabled}
          onChoose={() => onChoose(it)}
        />
      ))}
    </fieldset>
  )
}
