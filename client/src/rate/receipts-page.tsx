import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import { call, type Items } from '../http'
import { Left } from '../icons'
import { LearningLink } from '../people/learning-link'
import { useMe } from '../people/me'
import type { Receipt } from '../wire/http'
import { moment } from '../words'
import { ConsentCard } from './consent-card'
import { Became } from './learned'
import style from './receipts.module.css'

/** What became of each opinion of mine: the versions that learned from it, and since when they have been live. */
export default function ReceiptsPage() {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const receipts = useQuery({
    queryKey: ['receipts'],
    queryFn: () => call<Items<Receipt>>('GET', '/api/me/receipts'),
    enabled: Boolean(me),
    staleTime: 0,
  })
  const items = receipts.data?.items ?? []
  const learned = items.filter((item) => item.versions.length > 0).length
  return (
    <main className={style.page}>
      <Link href="/" className={style.back}>
        <Left size={16} /> {t('back')}
      </Link>
      <h1>{t('receipts.title')}</h1>
      <p className={style.lead}>
        {t('receipts.text')} <LearningLink />
      </p>
      {me?.consent.train === null && items.length > 0 && <ConsentCard />}
      {me?.consent.train === false && <p className={style.lead}>{t('receipts.noConsent')}</p>}
      {receipts.isPending && <p role="status">{t('loading')}</p>}
      {receipts.isError && <p role="alert">{t('somethingWrong', { message: receipts.error.message })}</p>}
      {receipts.isSuccess && items.length === 0 && <p>{t('receipts.none')}</p>}
      {items.length > 0 && (
        <>
          <p className={style.summary}>{t('receipts.summary', { count: items.length, learned })}</p>
          <table className={style.table}>
            <thead>
              <tr>
                <th scope="col">{t('receipts.kind')}</th>
                <th scope="col">{t('receipts.at')}</th>
                <th scope="col">{t('receipts.result')}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((item) => (
                <Row key={item.id} item={item} />
              ))}
            </tbody>
          </table>
        </>
      )}
    </main>
  )
}

function Row({ item }: { item: Receipt }) {
  const { t } = useTranslation()
  return (
    <tr>
      <td>{t(`receipts.${kindOf(item)}`)}</td>
      <td>{moment(item.at)}</td>
      <td>
        {item.versions.map((version) => (
          <span key={version.number} className={style.version}>
            <strong>{t('receipts.learned', { version: version.number })}</strong>{' '}
            <Became lesson={version} />
          </span>
        ))}
        {item.idle !== null ? (
          <span className={style.waiting}>{t(`receipts.idle.${item.idle}`)}</span>
        ) : (
          item.versions.length === 0 && <span className={style.waiting}>{t('receipts.notYet')}</span>
        )}
      </td>
    </tr>
  )
}

function kindOf({ kind, rating, rewritten }: Receipt) {
  if (kind === 'comparison') return 'comparison'
  if (rewritten) return 'rewrite'
  return rating === 1 ? 'up' : rating === -1 ? 'down' : 'opinion'
}
