import { Button, Drawer } from '@mantine/core'
import { useId } from 'react'
import { useTranslation } from 'react-i18next'

import { useFocusBack } from '../parts/focus-back'
import { changeManner, setManner, type Style, STYLES, styleOf, useManner, wishOf } from './manner'
import style from './manner.module.css'

/** What the server does where nothing is wished. */
const USUAL = { temperature: 0.6, top_p: 1, max_tokens: 512 }
const LENGTHS = [64, 128, 256, 512, 1024, 2048, 4096]

/** How replies are made: three styles for everybody, the numbers behind them for those who want to know. */
export default function MannerDrawer({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  useFocusBack()
  const manner = useManner((state) => state.manner)
  const chosen = styleOf(manner)
  const { temperature = USUAL.temperature, top_p: topP = USUAL.top_p, max_tokens: length = USUAL.max_tokens } = manner
  return (
    <Drawer
      opened
      onClose={onClose}
      position="right"
      size={360}
      title={t('manner.title')}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <div className={style.manner}>
        <p className={style.hint}>{t('manner.text')}</p>
        <fieldset className={style.styles}>
          <legend>{t('manner.style')}</legend>
          {(Object.keys(STYLES) as Style[]).map((name) => (
            <label key={name} className={style.style}>
              <input
                type="radio"
                name="style"
                checked={chosen === name}
                onChange={() => changeManner(STYLES[name])}
              />
              <span>
                <strong>{t(`manner.${name}`)}</strong>
                <small>{t(`manner.${name}Text`)}</small>
              </span>
            </label>
          ))}
        </fieldset>
        <Dial
          name={t('manner.temperature')}
          hint={t('manner.temperatureText')}
          value={temperature}
          min={0}
          max={1.5}
          step={0.05}
          onTurn={(value) => changeManner({ temperature: value })}
        />
        <Dial
          name={t('manner.topP')}
          hint={t('manner.topPText')}
          value={topP}
          min={0.05}
          max={1}
          step={0.05}
          onTurn={(value) => changeManner({ top_p: value })}
        />
        <label className={style.field}>
          <span>{t('manner.length')}</span>
          <select value={length} onChange={(event) => changeManner({ max_tokens: Number(event.currentTarget.value) })}>
            {LENGTHS.map((it) => (
              <option key={it} value={it}>
                {t('manner.tokens', { count: it })}
              </option>
            ))}
          </select>
        </label>
        <label className={style.field}>
          <span>{t('manner.seed')}</span>
          <input
            type="number"
            inputMode="numeric"
            min={0}
            max={Number.MAX_SAFE_INTEGER}
            step={1}
            placeholder={t('manner.noSeed')}
            value={manner.seed ?? ''}
            onChange={(event) => {
              const seed = event.currentTarget.valueAsNumber
              changeManner({ seed: Number.isSafeInteger(seed) ? seed : undefined })
            }}
          />
        </label>
        <p className={style.hint}>{t('manner.seedText')}</p>
        <Button variant="default" disabled={wishOf(manner) === undefined} onClick={() => setManner({})}>
          {t('manner.reset')}
        </Button>
      </div>
    </Drawer>
  )
}

interface DialProps {
  name: string
  hint: string
  value: number
  min: number
  max: number
  step: number
  onTurn: (value: number) => void
}

function Dial({ name, hint, value, min, max, step, onTurn }: DialProps) {
  const id = useId()
  return (
    <div className={style.dial}>
      <label htmlFor={id}>{name}</label>
      <output htmlFor={id}>{value.toFixed(2)}</output>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-describedby={`${id}-hint`}
        onChange={(event) => onTurn(Number(event.currentTarget.value))}
      />
      <p id={`${id}-hint`} className={style.hint}>
        {hint}
      </p>
    </div>
  )
}
