import { Button } from '@mantine/core'
import { type ReactNode, useEffect, useEffectEvent, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import { Left, ThumbDown, ThumbUp } from '../icons'
import { Markdown } from '../markdown/markdown'
import { isRater, useMe } from '../people/me'
import { ConsentCard } from './consent-card'
import { Reasons, reasonsFor, scored, Scores, toggled } from './judging'
import { Note } from './opinion-strip'
import { noOpinion, type Opinion } from './opinions'
import { type Item, type Judged, type PairItem, type Progress, type ReplyItem, useProgress, useQueue, type Verdict } from './queue'
import rateStyle from './rate.module.css'
import style from './rater.module.css'

/** Where raters work through replies, as fast as they read: one key a reply, the next one is there already. */
export default function RaterPage() {
  const { t } = useTranslation()
  const { data: me, isPending } = useMe()
  const isAllowed = isRater(me)
  const queue = useQueue(isAllowed)
  const progress = useProgress(isAllowed)
  const [resumed, setResumed] = useState<Judged | null>(null)
  const item = queue.current
  const judge = (judged: Judged) => {
    setResumed(null)
    queue.judge(judged)
  }
  const onBack = queue.mayGoBack ? () => setResumed(queue.goBack()) : undefined
  return (
    <main className={style.page}>
      <header className={style.head}>
        <Link href="/" className={style.back}>
          <Left size={16} /> {t('back')}
        </Link>
        {progress.data && <ProgressLine progress={progress.data} />}
      </header>
      <h1>{t('rater.title')}</h1>
      {!isAllowed && !isPending && <p>{t('rater.notYou')}</p>}
      {isAllowed && me?.consent.train === null && <ConsentCard />}
      {isAllowed && me?.consent.train === false && <p className={style.lead}>{t('receipts.noConsent')}</p>}
      {queue.error && (
        <p role="alert">
          {t('somethingWrong', { message: queue.error.message })}{' '}
          <Button size="xs" variant="default" onClick={queue.retry}>
            {t('retry')}
          </Button>
        </p>
      )}
      {item?.kind === 'pair' && (
        <PairDesk
          key={item.id}
          item={item}
          said={resumed?.kind === 'pair' ? resumed.said.verdict : null}
          onVerdict={(verdict) => judge({ kind: 'pair', item, said: { verdict } })}
          onBack={onBack}
        />
      )}
      {item?.kind === 'reply' && (
        <Desk
          key={item.id}
          item={item}
          start={resumed?.kind === 'reply' ? resumed.said : noOpinion}
          onJudge={(opinion) => judge({ kind: 'reply', item, said: opinion })}
          onBack={onBack}
        />
      )}
      {item === null && isAllowed && !queue.error && (
        <>
          <p role="status">{t(queue.isFinished ? 'rater.nothing' : 'loading')}</p>
          {queue.isFinished && onBack && <WayBack onBack={onBack} />}
        </>
      )}
    </main>
  )
}

function useKeys(pressed: (event: KeyboardEvent) => void): void {
  const latest = useEffectEvent(pressed)
  useEffect(() => {
    const listen = (event: KeyboardEvent) => latest(event)
    window.addEventListener('keydown', listen)
    return () => window.removeEventListener('keydown', listen)
  }, [])
}

/** From the end of the queue to the item that was the last. */
function WayBack({ onBack }: { onBack: () => void }) {
  const { t } = useTranslation()
  useKeys(({ key }) => key === 'Backspace' && onBack())
  return (
    <div className={style.verdicts}>
      <Choice label={t('rater.back')} sign="⌫" onClick={onBack} />
    </div>
  )
}

function ProgressLine({ progress }: { progress: Progress }) {
  const { t } = useTranslation()
  const { done, since, waiting, repeated, agreed } = progress
  return (
    <p className={style.progress} role="status">
      <span>{t('rater.today', { count: since })}</span>
      <span>{t('rater.done', { count: done })}</span>
      <span>{t('rater.waiting', { count: waiting })}</span>
      {repeated > 0 && (
        <span title={t('rater.agreementText')}>
          {t('rater.agreement', { share: Math.round((100 * agreed) / repeated), count: repeated })}
        </span>
      )}
    </p>
  )
}

/** Keys that pick an aspect to be scored. Those of the middle row, where the left hand lies. */
const LETTERS = 'asdfghjkl'

interface DeskProps {
  item: ReplyItem
  start: Opinion
  onJudge: (opinion: Opinion) => void
  onBack: (() => void) | undefined
}

/** One reply with what led to it. The arrows judge and go on; with Shift one stays to say why. */
function Desk({ item, start, onJudge, onBack }: DeskProps) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const [opinion, setOpinion] = useState<Opinion>(start)
  const [isStaying, setStaying] = useState(start.rating !== null)
  const [picked, setPicked] = useState<string | null>(null)
  const [isRewriting, setRewriting] = useState(start.rewrite !== null)
  const reply = useRef<HTMLElement>(null)
  const more = useRef<HTMLElement>(null)
  useEffect(() => reply.current?.focus(), [])

  const rate = (rating: 1 | -1, isToStay: boolean) => {
    const rated = { ...opinion, rating, reasons: opinion.rating === rating ? opinion.reasons : [] }
    if (isToStay) {
      setOpinion(rated)
      setStaying(true)
    } else onJudge(rated)
  }
  /** Does what a key stands for while one stays to say why; false if it stands for nothing. */
  const said = (key: string): boolean => {
    const aspect = me?.aspects[LETTERS.indexOf(key)]
    if (aspect) {
      setPicked(aspect.name === picked ? null : aspect.name)
    } else if (picked !== null && /^[1-5]$/.test(key)) {
      setOpinion({ ...opinion, labels: scored(opinion.labels, picked, Number(key)) })
      setPicked(null)
    } else if (/^[1-9]$/.test(key)) {
      const reason = reasonsFor(me, opinion.rating)[Number(key) - 1]
      if (reason) setOpinion({ ...opinion, reasons: toggled(opinion.reasons, reason.id) })
    } else if (key === 'n') {
      more.current?.querySelector('input')?.focus()
    } else if (key === 'e') {
      setRewriting(true)
      more.current?.querySelector('textarea')?.focus()
    } else return false
    return true
  }
  useKeys((event) => {
    const { target, key } = event
    if (event.altKey || event.isComposing) return
    if (key === 'Enter' && isStaying && !(target instanceof HTMLButtonElement)) {
      event.preventDefault()
      // Enter in the note comes before the note has been taken over.
      onJudge(target instanceof HTMLInputElement ? { ...opinion, note: target.value.trim() || null } : opinion)
    }
    const isTyping = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement
    if (isTyping && key === 'Escape') reply.current?.focus()
    if (isTyping || event.ctrlKey || event.metaKey) return
    if (isStaying && said(key.toLowerCase())) {
      event.preventDefault()
      return
    }
    if (key === 'ArrowRight' || key === 'ArrowLeft') {
      event.preventDefault()
      rate(key === 'ArrowRight' ? 1 : -1, event.shiftKey)
    } else if (key === '0') {
      onJudge({ ...opinion, rating: null, reasons: [] })
    } else if (key === 'Backspace' && onBack) {
      onBack()
    }
  })

  return (
    <>
      <Turns turns={item.turns} />
      <section ref={reply} className={style.reply} aria-label={t('rater.reply')} tabIndex={-1}>
        <Markdown text={item.content} />
      </section>
      <div className={style.verdicts}>
        <Choice label={t('rater.bad')} sign="←" isOn={opinion.rating === -1} onClick={() => rate(-1, true)}>
          <ThumbDown size={18} filled={opinion.rating === -1} />
        </Choice>
        <Choice label={t('rater.good')} sign="→" isOn={opinion.rating === 1} onClick={() => rate(1, true)}>
          <ThumbUp size={18} filled={opinion.rating === 1} />
        </Choice>
        <Choice label={t('rater.skip')} sign="0" onClick={() => onJudge({ ...opinion, rating: null, reasons: [] })} />
        {onBack && <Choice label={t('rater.back')} sign="⌫" onClick={onBack} />}
      </div>
      {isStaying && (
        <section ref={more} className={rateStyle.strip} aria-label={t('opinion.label')}>
          <Reasons
            isNumbered
            rating={opinion.rating}
            chosen={opinion.reasons}
            onChoose={(reasons) => setOpinion({ ...opinion, reasons })}
          />
          <Scores
            labels={opinion.labels}
            letters={LETTERS}
            picked={picked}
            onScore={(labels) => setOpinion({ ...opinion, labels })}
          />
          <Note note={opinion.note} onNote={(note) => setOpinion((old) => ({ ...old, note }))} />
          <Rewrite
            item={item}
            opinion={opinion}
            isOpen={isRewriting}
            onOpen={() => setRewriting(true)}
            onRewrite={(rewrite) => setOpinion((old) => ({ ...old, rewrite }))}
          />
          <div>
            <Button size="sm" onClick={() => onJudge(opinion)} rightSection={<kbd className={style.sign} aria-hidden="true">↵</kbd>}>
              {t('rater.next')}
            </Button>
          </div>
        </section>
      )}
      <p className={style.legend}>
        {t('rater.legend')} {isStaying && t('rater.legendMore')}
      </p>
    </>
  )
}

const VERDICTS: [verdict: Verdict, sign: string, key: string][] = [
  ['left', '←', 'ArrowLeft'],
  ['right', '→', 'ArrowRight'],
  ['tie', '0', '0'],
  ['neither', '9', '9'],
]

interface PairDeskProps {
  item: PairItem
  /** What was said of it before one went back to it. */
  said: Verdict | null
  onVerdict: (verdict: Verdict) => void
  onBack: (() => void) | undefined
}

/** Two replies to one question; one key says which is better. */
function PairDesk({ item, said, onVerdict, onBack }: PairDeskProps) {
  const { t } = useTranslation()
  const first = useRef<HTMLElement>(null)
  useEffect(() => first.current?.focus(), [])
  useKeys((event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return
    const chosen = VERDICTS.find(([, , key]) => key === event.key)
    if (chosen) {
      event.preventDefault()
      onVerdict(chosen[0])
    } else if (event.key === 'Backspace' && onBack) onBack()
  })
  return (
    <>
      <Turns turns={item.turns} />
      <div className={rateStyle.compare}>
        {[item.left, item.right].map((side, index) => (
          <section
            key={side.message_id}
            ref={index === 0 ? first : undefined}
            className={style.reply}
            aria-label={t('compare.answer', { n: index + 1 })}
            tabIndex={-1}
          >
            <Markdown text={side.content} />
          </section>
        ))}
      </div>
      <div className={style.verdicts}>
        {VERDICTS.map(([verdict, sign]) => (
          <Choice key={verdict} label={t(`compare.${verdict}`)} sign={sign} isOn={verdict === said} onClick={() => onVerdict(verdict)} />
        ))}
        {onBack && <Choice label={t('rater.back')} sign="⌫" onClick={onBack} />}
      </div>
    </>
  )
}

function Turns({ turns }: { turns: Item['turns'] }) {
  const { t } = useTranslation()
  return (
    <ol className={style.turns} aria-label={t('rater.before')}>
      {turns.map((turn, index) => (
        <li key={index} data-role={turn.role}>
          <span className={style.who}>{t(turn.role === 'user' ? 'rater.asked' : 'rater.answered')}</span>
          {turn.role === 'user' ? <p dir="auto">{turn.content}</p> : <Markdown text={turn.content} />}
        </li>
      ))}
    </ol>
  )
}

interface ChoiceProps {
  label: string
  sign: string
  isOn?: boolean
  onClick: () => void
  children?: ReactNode
}

function Choice({ label, sign, isOn, onClick, children }: ChoiceProps) {
  return (
    <button type="button" className={style.verdict} aria-pressed={isOn} onClick={onClick}>
      {children}
      <span>{label}</span>
      <kbd className={style.sign} aria-hidden="true">
        {sign}
      </kbd>
    </button>
  )
}

interface RewriteProps {
  item: ReplyItem
  opinion: Opinion
  isOpen: boolean
  onOpen: () => void
  onRewrite: (text: string | null) => void
}

function Rewrite({ item, opinion, isOpen, onOpen, onRewrite }: RewriteProps) {
  const { t } = useTranslation()
  if (!isOpen) {
    return (
      <button type="button" className={rateStyle.more} onClick={onOpen}>
        {t('opinion.rewrite')} <kbd className={style.sign}>E</kbd>
      </button>
    )
  }
  return <Better item={item} opinion={opinion} onRewrite={onRewrite} />
}

function Better({ item, opinion, onRewrite }: Pick<RewriteProps, 'item' | 'opinion' | 'onRewrite'>) {
  const { t } = useTranslation()
  const area = useRef<HTMLTextAreaElement>(null)
  useEffect(() => area.current?.focus(), [])
  return (
    <textarea
      ref={area}
      className={style.rewrite}
      rows={4}
      defaultValue={opinion.rewrite ?? item.content}
      aria-label={t('opinion.rewriteLabel')}
      onChange={(event) => {
        const text = event.currentTarget.value
        onRewrite(text.trim() === '' || text.trim() === item.content.trim() ? null : text)
      }}
      onKeyDown={(event) => {
        // Enter begins a new line here; with Ctrl it goes on like everywhere else on the page.
        if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) event.stopPropagation()
      }}
    />
  )
}
