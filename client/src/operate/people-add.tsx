/** Somebody new, and the secrets that are shown only once. */

import { Button, Checkbox, Group, Modal, PasswordInput, Select, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'

import { CopyButton } from '../parts/copy-button'
import { useMe } from '../people/me'
import { useAddPerson } from './calls'
import { Trouble } from './parts'
import style from './people.module.css'
import { type Role, roles } from './shapes'
import { useWords } from './words'

export function AddPerson({ onClose }: { onClose: () => void }) {
  const t = useWords()
  const me = useMe().data
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('user')
  const [password, setPassword] = useState('')
  const [wantsKey, setWantsKey] = useState(false)
  const add = useAddPerson()
  if (add.data?.api_key) {
    return (
      <Secret
        title={t('person.keyTitle', { name: add.data.name })}
        text={t('person.keyText')}
        secret={add.data.api_key}
        copy={t('person.copyKey')}
        onClose={onClose}
      />
    )
  }
  const submit = () =>
    add.mutate(
      { name: name.trim(), role, password: password || null, api_key: wantsKey },
      { onSuccess: (added) => added.api_key === null && onClose() },
    )
  const allowed = me?.role === 'admin' ? roles : roles.slice(0, 2)
  return (
    <Modal opened onClose={onClose} title={t('person.add')} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
      >
        <Stack gap="sm">
          <TextInput
            label={t('person.name')}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            autoComplete="off"
            required
            data-autofocus
          />
          <Select
            label={t('person.role')}
            data={allowed.map((one) => ({ value: one, label: t(`person.roles.${one}`) }))}
            value={role}
            onChange={(chosen) => chosen !== null && setRole(chosen)}
            allowDeselect={false}
          />
          <PasswordInput
            label={t('person.password')}
            description={t('person.passwordHint')}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            autoComplete="new-password"
          />
          <Checkbox
            label={t('person.apiKey')}
            checked={wantsKey}
            onChange={(event) => setWantsKey(event.currentTarget.checked)}
          />
          <Trouble error={add.error} />
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={add.isPending}>
              {t('add')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

interface SecretProps {
  title: string
  text: string
  secret: string
  copy: string
  onClose: () => void
}

export function Secret({ title, text, secret, copy, onClose }: SecretProps) {
  const t = useWords()
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      closeOnClickOutside={false}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <p className={style.secretText}>{text}</p>
      <div className={style.secret}>
        <code>{secret}</code>
        <CopyButton text={secret} label={copy} />
      </div>
    </Modal>
  )
}
