/** Where the one-time link leads: whoever holds its token becomes the first admin. */

import { Button, PasswordInput, Stack, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { type SubmitEvent, useEffect, useState } from 'react'
import { Link, useLocation } from 'wouter'

import { Mark } from '../icons'
import { usePersonChanged } from '../people/me'
import { claim } from './calls'
import style from './claim.module.css'
import { Empty, Trouble } from './parts'
import { useWords } from './words'

export function ClaimPage() {
  const t = useWords()
  // The token travels behind the #, which no server and no log ever sees.
  const [token] = useState(() => window.location.hash.slice(1))
  useEffect(() => {
    document.title = `${t('claim.title')} · Backtalk`
  }, [t])
  return (
    <main className={style.page}>
      {token ? (
        <ClaimForm token={token} />
      ) : (
        <Empty title={t('claim.noToken')} text={t('claim.noTokenText')}>
          <Button component={Link} href="/" variant="default">
            {t('claim.toChat')}
          </Button>
        </Empty>
      )}
    </main>
  )
}

function ClaimForm({ token }: { token: string }) {
  const t = useWords()
  const [, navigate] = useLocation()
  const becomeSomebodyElse = usePersonChanged()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const claiming = useMutation({
    mutationFn: () => claim(token, name.trim(), password),
    onSuccess: async () => {
      await becomeSomebodyElse()
      navigate('/operate/welcome', { replace: true })
    },
  })
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    claiming.mutate()
  }
  return (
    <form onSubmit={submit} className={style.card}>
      <Mark size={36} />
      <h1>{t('claim.title')}</h1>
      <p>{t('claim.text')}</p>
      <Stack gap="sm">
        <TextInput
          label={t('claim.name')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          autoComplete="username"
          required
          autoFocus
        />
        <PasswordInput
          label={t('claim.password')}
          description={t('claim.passwordHint')}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          autoComplete="new-password"
          required
        />
        <Trouble error={claiming.error} />
        <Button type="submit" loading={claiming.isPending}>
          {t('claim.go')}
        </Button>
      </Stack>
    </form>
  )
}
