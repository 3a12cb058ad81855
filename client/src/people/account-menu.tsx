import { Menu } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useLocation } from 'wouter'

import { Columns, Door, Gauge, Gear, Person, Receipt } from '../icons'
import { lazyDialog } from '../parts/lazily'
import { isOperator, isRater, type Me, signOut, usePersonChanged } from './me'
import style from './people.module.css'

const SignInDialog = lazyDialog(() => import('./sign-in'))
const SettingsDialog = lazyDialog(() => import('./settings'))

/** The ways from here that concern the person: in and out, settings, receipts, and where their role leads. */
export function AccountMenu({ me }: { me: Me }) {
  const { t } = useTranslation()
  const [, navigate] = useLocation()
  const personChanged = usePersonChanged()
  const leave = useMutation({ mutationFn: signOut, onSuccess: personChanged })
  const [dialog, setDialog] = useState<'sign-in' | 'settings' | null>(null)
  const name = me.name ?? t('account.guest')
  return (
    <>
      <Menu position="top-start" width={250} shadow="md">
        <Menu.Target>
          <button type="button" className={style.account} aria-label={`${t('account.menu')}: ${name}`}>
            <span className={style.avatar}>
              <Person size={17} />
            </span>
            <span className={style.accountName}>{name}</span>
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          {me.guest && (
            <Menu.Item leftSection={<Person size={16} />} onClick={() => setDialog('sign-in')}>
              {t('account.signUp')} / {t('account.signIn')}
              <span className={style.menuHint}>{t('account.guestHint')}</span>
            </Menu.Item>
          )}
          <Menu.Item leftSection={<Gear size={16} />} onClick={() => setDialog('settings')}>
            {t('account.settings')}
          </Menu.Item>
          <Menu.Item leftSection={<Receipt size={16} />} onClick={() => navigate('/receipts')}>
            {t('account.receipts')}
          </Menu.Item>
          {isRater(me) && (
            <Menu.Item leftSection={<Columns size={16} />} onClick={() => navigate('/rate')}>
              {t('account.rate')}
            </Menu.Item>
          )}
          {isOperator(me) && (
            <Menu.Item leftSection={<Gauge size={16} />} onClick={() => navigate('/operate')}>
              {t('account.console')}
            </Menu.Item>
          )}
          {!me.guest && (
            <Menu.Item leftSection={<Door size={16} />} onClick={() => leave.mutate()}>
              {t('account.signOut')}
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      {dialog === 'sign-in' && <SignInDialog onClose={() => setDialog(null)} />}
      {dialog === 'settings' && <SettingsDialog me={me} onClose={() => setDialog(null)} />}
    </>
  )
}
