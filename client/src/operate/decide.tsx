/** A button that moves a version, with the question before it: promote, approve, turn down, try, take back. */

import { Button } from '@mantine/core'
import { useState } from 'react'

import { toast } from '../parts/toast'
import { type Move, useMove } from './calls'
import { Confirm } from './confirm'
import { useWords } from './words'

interface DecideProps {
  move: Move
  number: number
  isMain?: boolean
}

export function Decide({ move: name, number, isMain = false }: DecideProps) {
  const t = useWords()
  const [isAsking, setAsking] = useState(false)
  const move = useMove(name, number)
  const confirm = (reason: string) =>
    move.mutate(reason, {
      onSuccess: (moved) => {
        setAsking(false)
        void toast({ message: t('policy.nowIs', { number: moved.number, state: t(`state.${moved.state}`) }) })
      },
    })
  return (
    <>
      <Button size="xs" variant={isMain ? 'filled' : 'default'} onClick={() => setAsking(true)}>
        {t(`policy.${name}`)}
        <span className="visually-hidden"> {t('v', { number })}</span>
      </Button>
      {isAsking && (
        <Confirm
          title={t(`policy.${name}Title`, { number })}
          text={t(`policy.${name}Text`)}
          action={t(`policy.${name}`)}
          isDanger={name === 'rollback' || name === 'reject'}
          asksWhy
          isBusy={move.isPending}
          error={move.error}
          onConfirm={confirm}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}
