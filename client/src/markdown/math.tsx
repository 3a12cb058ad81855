import { useEffect, useRef, useState } from 'react'

type Katex = typeof import('katex').default

let loading: Promise<Katex> | null = null

function loadKatex(): Promise<Katex> {
  loading ??= Promise.all([import('katex'), import('katex/dist/katex.min.css')]).then(([module]) => module.default)
  return loading
}

/** A formula. KaTeX builds nodes (never HTML text) and is fetched when the first formula appears. */
export function Formula({ tex, display }: { tex: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null)
  const [isRendered, setRendered] = useState(false)
  useEffect(() => {
    let isShown = true
    void loadKatex().then((katex) => {
      if (!isShown || !place.current) return
      katex.render(tex, place.current, {
        displayMode: display,
        throwOnError: false,
        trust: false,
        maxSize: 20,
        maxExpand: 200,
        strict: 'ignore',
      })
      setRendered(true)
    })
    return () => {
      isShown = false
    }
  }, [tex, display])
  return (
    <>
      {!isRendered && <code>{tex}</code>}
      <span ref={place} />
    </>
  )
}
