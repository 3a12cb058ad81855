import { useEffect, useRef } from 'react'

import { extra } from '../parts/fetched'

/** KaTeX is fetched when the first formula appears. */
const useKatex = extra(async () => {
  const [module] = await Promise.all([import('katex'), import('katex/dist/katex.min.css')])
  return module.default
})

/** A formula; without KaTeX, which builds nodes (never HTML text), it stands there as it was written. */
export function Formula({ tex, display }: { tex: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null)
  const katex = useKatex(true)
  useEffect(() => {
    if (!katex || !place.current) return
    katex.render(tex, place.current, {
      displayMode: display,
      throwOnError: false,
      trust: false,
      maxSize: 20,
      maxExpand: 200,
      strict: 'ignore',
    })
  }, [katex, tex, display])
  return katex ? <span ref={place} /> : <code>{tex}</code>
}
