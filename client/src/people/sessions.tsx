import { Button } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { call, type Items } from '../http'
import { moment } from '../words'
import style from './people.module.css'

interface Session {
  id: string
  created_at: string
  seen_at: string
  current: boolean
}

/** Where the person is signed in, and the way to end it there. */
export function Sessions() {
  const { t } = useTranslation()
  const client = useQueryClient()
  const sessions = useQuery({
    queryKey: ['sessions'],
    queryFn: () => call<Items<Session>>('GET', '/api/me/sessions'),
    staleTime: 0,
  })
  const end = useMutation({
    mutationFn: (id: string) => call('DELETE', `/api/me/sessions/${id}`),
    onSettled: () => client.invalidateQueries({ queryKey: ['sessions'] }),
  })
  const fault = sessions.error ?? end.error
  return (
    <section>
      <h2>{t('account.sessions')}</h2>
      <ul className={style.sessions}>
        {sessions.data?.items.map((session) => (
          <li key={session.id}>
            <span>
              {t('account.since', { at: moment(session.created_at) })}
              <small>
                {session.current ? t('account.here') : t('account.seen', { at: moment(session.seen_at) })}
              </small>
            </span>
            {!session.current && (
              <Button
                size="compact-xs"
                variant="default"
                loading={end.isPending && end.variables === session.id}
                onClick={() => end.mutate(session.id)}
              >
                {t('account.signOut')}
              </Button>
            )}
          </li>
        ))}
      </ul>
      {fault && (
        <p role="alert" className={style.fault}>
          {t('somethingWrong', { message: fault.message })}
        </p>
      )}
    </section>
  )
}
