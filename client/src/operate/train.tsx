/** "Train now": queues a run and goes to its page. */

import { Button } from '@mantine/core'
import { Link, useLocation } from 'wouter'

import { Spark } from '../icons'
import { toast } from '../parts/toast'
import { useTrain } from './calls'
import { useMessage } from './parts'
import type { Run } from './shapes'
import { useWords } from './words'

export function TrainButton({ running }: { running: Run | null }) {
  const t = useWords()
  const message = useMessage()
  const [, navigate] = useLocation()
  const train = useTrain()
  if (running) {
    return (
      <Button component={Link} href={`/operate/runs/${running.id}`} variant="default">
        {t('train.busy')}
      </Button>
    )
  }
  const start = () =>
    train.mutate(undefined, {
      onSuccess: (run) => {
        void toast({ message: t('train.started') })
        navigate(`/operate/runs/${run.id}`)
      },
      onError: (error) => void toast({ message: message(error), color: 'red', autoClose: 10_000 }),
    })
  return (
    <Button leftSection={<Spark size={16} />} onClick={start} loading={train.isPending}>
      {t('train.now')}
    </Button>
  )
}
