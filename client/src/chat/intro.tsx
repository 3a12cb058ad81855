import { useTranslation } from 'react-i18next'

import { Mark } from '../icons'
import style from './chat.module.css'

/** An empty chat: what this is, what it can talk about, and four ways to begin. */
export function Intro({ onSay }: { onSay: (text: string) => void }) {
  const { t } = useTranslation()
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
      <p className={style.small}>{t('intro.small')}</p>
    </div>
  )
}
