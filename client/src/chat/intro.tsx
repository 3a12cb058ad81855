import { useTranslation } from 'react-i18next'

import { Mark } from '../icons'
import { useMe } from '../people/me'
import style from './chat.module.css'

/** An empty chat: what this is, what the bundled model can talk about while it answers, and four ways to begin. */
export function Intro({ onSay }: { onSay: (text: string) => void }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const prompts = t('intro.prompts', { returnObjects: true })
  return (
    <div className={style.intro}>
      <Mark size={40} />
      <h1>{t('intro.title')}</h1>
      <p>{t('intro.text')}</p>
      <ul>
        {(Array.isArray(prompts) ? prompts : []).map((prompt: string) => (
          <li key={prompt}>
            <button type="button" onClick={() => onSay(prompt)}>
              {prompt}
            </button>
          </li>
        ))}
      </ul>
      {me && <p className={style.small}>{t(me.starter ? 'intro.small' : 'intro.other')}</p>}
    </div>
  )
}
