/** One person's feedback as a whole: the versions that learned from it, and whether it may go on training. */

import { Button } from '@mantine/core'
import { useState } from 'react'

import { useExcludePerson, useGiver } from './calls'
import { Confirm } from './confirm'
import style from './feedback.module.css'
import { percent, plain } from './figures'
import { Panel, Tag, Trouble } from './parts'
import { useLocale } from './times'
import { useWords } from './words'

export function GiverPanel({ id }: { id: string }) {
  const t = useWords()
  const locale = useLocale()
  const giver = useGiver(id)
  const exclude = useExcludePerson(id)
  const [isAsking, setAsking] = useState(false)
  if (giver.error) return <Trouble error={giver.error} onRetry={() => void giver.refetch()} />
  if (!giver.data) return null
  const { name, excluded, versions } = giver.data
  return (
    <Panel
      title={name ?? t('desk.anonymous')}
      actions={
        <span className={style.giver}>
          {excluded && <Tag tone="bad">{t('desk.personExcluded')}</Tag>}
          <Button
            size="xs"
            variant="default"
            loading={exclude.isPending}
            onClick={() => (excluded ? exclude.mutate({ excluded: false, reason: '' }) : setAsking(true))}
          >
            {excluded ? t('desk.includePerson') : t('desk.excludePerson')}
          </Button>
        </span>
      }
    >
      {versions.length === 0 ? (
        <p className={style.hidden}>{t('desk.touchedNone')}</p>
      ) : (
        <>
          <p className={style.hidden}>{t('desk.touched')}</p>
          <ul className={style.touched}>
            {versions.map((version) => (
              <li key={version.number}>
                <a href={`/operate/versions#v${version.number}`}>{t('v', { number: version.number })}</a>{' '}
                {t('desk.touchedBy', { count: version.opinions, share: percent(version.share, locale), plain: plain(version.opinions, locale) })}
              </li>
            ))}
          </ul>
        </>
      )}
      {!isAsking && <Trouble error={exclude.error} />}
      {isAsking && (
        <Confirm
          title={t('desk.excludePersonTitle')}
          text={t('desk.excludePersonText')}
          action={t('desk.excludePerson')}
          asksWhy
          isBusy={exclude.isPending}
          error={exclude.error}
          onConfirm={(reason) => exclude.mutate({ excluded: true, reason }, { onSuccess: () => setAsking(false) })}
          onClose={() => setAsking(false)}
        />
      )}
    </Panel>
  )
}
