import { expect, test } from 'vitest'

import { en } from './en'
import { zh } from './zh'

type Tree = { [name: string]: string | string[] | Tree }

function leaves(tree: Tree, path = ''): [string, string][] {
  return Object.entries(tree).flatMap(([name, value]): [string, string][] => {
    const here = path ? `${path}.${name}` : name
    if (typeof value === 'string') return [[here, value]]
    return Array.isArray(value) ? value.map((it, index) => [`${here}.${index}`, it]) : leaves(value, here)
  })
}

const english = leaves(en)
const chinese = new Map(leaves(zh))
const holes = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]).sort()

test('everything said in English is said in Chinese, with the same holes', () => {
  expect([...chinese.keys()].sort()).toEqual(english.map(([path]) => path).sort())
  for (const [path, text] of english) expect([path, holes(chinese.get(path) ?? '')]).toEqual([path, holes(text)])
})

test('every word a component asks for exists', () => {
  const sources = import.meta.glob<string>(['../{chat,rate,people,parts,markdown}/*.tsx'], { query: '?raw', import: 'default', eager: true })
  const known = new Set(english.map(([path]) => path.replace(/_(one|other)$|\.\d+$/, '')))
  const asked = Object.values(sources).flatMap((source) => [...source.matchAll(/\bt\('([\w.]+)'/g)].map((match) => match[1] ?? ''))
  expect(asked.length).toBeGreaterThan(50)
  expect(asked.filter((path) => !known.has(path))).toEqual([])
})
