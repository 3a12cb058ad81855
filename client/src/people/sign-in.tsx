import { Button, Modal, PasswordInput, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useLocation } from 'wouter'

import { HttpError, Offline } from '../http'
import { useFocusBack } from '../parts/focus-back'
import style from './people.module.css'
import { signIn, signUp, useEntrance, usePersonChanged } from './me'

/** Why signing in through the provider came to nothing, as the server says in the address. */
const PROBLEMS = ['refused', 'stale', 'closed', 'failed'] as const

interface SignInDialogProps {
  /** Nobody may chat here without an account: the dialog cannot be closed. */
  isForced?: boolean
  onClose: () => void
}

export default function SignInDialog({ isForced = false, onClose }: SignInDialogProps) {
  const { t } = useTranslation()
  useFocusBack()
  // An invitation comes behind the #, which no server and no log ever sees.
  const [invite, setInvite] = useState(() => window.location.pathname === '/join' ? window.location.hash.slice(1) : '')
  const [isNew, setNew] = useState(!isForced || invite !== '')
  const [problem] = useState(() => PROBLEMS.find((it) => it === new URLSearchParams(window.location.search).get('problem')))
  const { data: entrance } = useEntrance()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const personChanged = usePersonChanged()
  const [, navigate] = useLocation()
  const enter = useMutation({
    mutationFn: () => (isNew ? signUp(name, password, invite.trim()) : signIn(name, password)),
    onSuccess: async () => {
      if (window.location.pathname === '/join') navigate('/', { replace: true })
      onClose()
      await personChanged()
    },
  })
  return (
    <Modal
      opened
      onClose={onClose}
      withCloseButton={!isForced}
      closeOnEscape={!isForced}
      closeOnClickOutside={!isForced}
      title={t(isNew ? 'account.signUp' : 'account.signIn')}
      closeButtonProps={{ 'aria-label': t('close') }}
      size="sm"
    >
      <form
        className={style.form}
        onSubmit={(event) => {
          event.preventDefault()
          enter.mutate()
        }}
      >
        <p className={style.text}>{isForced && !isNew ? t('account.closed') : isNew && t('account.signUpText')}</p>
        {problem && (
          <p role="alert" className={style.fault}>
            {t(`account.problems.${problem}`, { name: entrance?.provider ?? '' })}
          </p>
        )}
        {entrance?.provider && (
          // A whole page: the provider's is another site.
          <Button component="a" href="/api/oidc/start" variant="default" fullWidth>
            {t('account.provider', { name: entrance.provider })}
          </Button>
        )}
        <TextInput
          label={t('account.name')}
          value={name}
          required
          autoComplete="username"
          data-autofocus
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <PasswordInput
          label={t('account.password')}
          description={isNew ? t('account.passwordHint') : undefined}
          value={password}
          required
          minLength={isNew ? 8 : undefined}
          autoComplete={isNew ? 'new-password' : 'current-password'}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {isNew && (entrance?.signup === 'invite' || invite !== '') && (
          <TextInput
            label={t('account.invite')}
            description={t('account.inviteHint')}
            value={invite}
            required
            autoComplete="off"
            onChange={(event) => setInvite(event.currentTarget.value)}
          />
        )}
        {enter.isError && (
          <p role="alert" className={style.fault}>
            {enter.error instanceof Offline
              ? t('offline')
              : isRefused(enter.error)
                ? t('account.wrong')
                : enter.error.message}
          </p>
        )}
        <Button type="submit" loading={enter.isPending} fullWidth>
          {t(isNew ? 'account.signUp' : 'account.signIn')}
        </Button>
        {(isNew || entrance?.signup !== 'closed') && (
          <Button variant="subtle" fullWidth onClick={() => setNew(!isNew)}>
            {t(isNew ? 'account.haveAccount' : 'account.needAccount')}
          </Button>
        )}
      </form>
    </Modal>
  )
}

/** What goes wrong most often is said in the person's own language. */
function isRefused(error: Error): boolean {
  return error instanceof HttpError && error.code === 'unauthorised'
}
