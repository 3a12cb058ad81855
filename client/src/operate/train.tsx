/** "Train now": asks how, says what such a run would learn from, queues it and goes to its page. */

import { Button, Group, Modal, Stack } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'

import { HttpError } from '../http'
import { Spark } from '../icons'
import { toast } from '../parts/toast'
import { useTrain } from './calls'
import { DryRunOutcome } from './dry-run'
import { type Learning, LearningFields } from './learning'
import { Trouble } from './parts'
import { useReason } from './reasons'
import { recipeOf } from './recipe'
import { fieldOf } from './reckon'
import type { Run } from './shapes'
import { useWords } from './words'

const DRY_RUN_MILLISECONDS = 400

export function TrainButton({ running }: { running: Run | null }) {
  const t = useWords()
  const [isAsking, setAsking] = useState(false)
  if (running) {
    return (
      <Button component={Link} href={`/operate/runs/${running.id}`} variant="default">
        {t('train.busy')}
      </Button>
    )
  }
  return (
    <>
      <Button leftSection={<Spark size={16} />} onClick={() => setAsking(true)}>
        {t('train.now')}
      </Button>
      {isAsking && <TrainDialog onClose={() => setAsking(false)} />}
    </>
  )
}

function TrainDialog({ onClose }: { onClose: () => void }) {
  const t = useWords()
  const [, navigate] = useLocation()
  const train = useTrain()
  const said = useReason()
  const [learning, setLearning] = useState<Learning>({ recipe: { algorithm: null, rest: '' }, reward_profile: null })
  const [tried] = useDebouncedValue(learning, DRY_RUN_MILLISECONDS)
  const recipe = recipeOf(learning.recipe)
  const triedRecipe = recipeOf(tried.recipe)
  const field = train.error instanceof HttpError ? fieldOf(train.error.message) : null
  const start = () => {
    if (recipe === null) return
    // The promise, and no callback of the mutation: the page may hear of the run first, and takes this dialog away.
    train.mutateAsync({ recipe, reward_profile: learning.reward_profile }).then(
      (run) => {
        void toast({ message: t('train.started') })
        navigate(`/operate/runs/${run.id}`)
      },
      () => undefined, // the dialog shows what is wrong
    )
  }
  return (
    <Modal opened onClose={onClose} title={t('train.now')} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          start()
        }}
      >
        <Stack gap="sm">
          <LearningFields
            learning={learning}
            errorOf={(name) => (field === name && train.error instanceof HttpError ? said(train.error.message) : null)}
            onChange={(change) => {
              train.reset()
              setLearning((old) => ({ ...old, ...change }))
            }}
          />
          {triedRecipe !== null && (
            <DryRunOutcome asked={{ recipe: triedRecipe, reward_profile: tried.reward_profile, minimum_feedback: 0 }} />
          )}
          {field !== 'recipe' && field !== 'reward_profile' && <Trouble error={train.error} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={train.isPending} disabled={recipe === null} data-autofocus>
              {t('train.go')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
