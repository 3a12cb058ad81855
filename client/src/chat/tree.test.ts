import { expect, test } from 'vitest'

import { type Node, visiblePath } from './tree'

const node = (id: string, parent_id: string | null): Node => ({ id, parent_id, role: id.startsWith('q') ? 'user' : 'assistant' })
const nodes = [node('q1', null), node('r1', 'q1'), node('r2', 'q1'), node('q2', 'r1'), node('q9', null)]
const ids = (choices: Record<string, string>) => visiblePath(nodes, choices, 'c').map((step) => step.id)

test('the newest branch is shown where nobody chose', () => {
  expect(ids({})).toEqual(['q9'])
})

test('a choice leads down its branch, and then to the newest again', () => {
  expect(ids({ c: 'q1' })).toEqual(['q1', 'r2'])
  expect(ids({ c: 'q1', q1: 'r1' })).toEqual(['q1', 'r1', 'q2'])
})

test('each step knows what else could stand in its place', () => {
  expect(visiblePath(nodes, { c: 'q1' }, 'c')[1]?.siblings).toEqual(['r1', 'r2'])
})

test('a choice that does not exist any more is as none', () => {
  expect(ids({ c: 'gone' })).toEqual(['q9'])
})

test('a tree that bites its own tail ends', () => {
  const ring = [node('q1', null), node('r1', 'q1'), node('q1', 'r1')]
  expect(visiblePath(ring, {}, 'c').length).toBeLessThan(5)
})

test('a step stays the same object until something about it changes', () => {
  const before = visiblePath(nodes, { c: 'q1', q1: 'r1' }, 'c')
  const grown = visiblePath([...nodes, node('r3', 'q2')], { c: 'q1', q1: 'r1' }, 'c')
  expect(before.every((step, index) => step === grown[index])).toBe(true)
  expect(visiblePath([...nodes, node('r4', 'q1')], { c: 'q1', q1: 'r1' }, 'c').map((step, index) => step === before[index])).toEqual([true, false, true])
})
