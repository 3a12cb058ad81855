/** The shape of a conversation: which message hangs under which, and which branch is shown. Pure. */

/** A message without its text: the tree stays the same object while text streams in. */
export interface Node {
  id: string
  parent_id: string | null
  role: 'user' | 'assistant'
}

/** One place on the way from the first message to the last: the message shown there and all that could be. */
export interface Step extends Node {
  siblings: string[]
}

/** Which sibling is shown under a parent; first messages hang under the conversation itself. */
export type Choices = Record<string, string>

export function placeOf(node: { parent_id: string | null }, conversation: string): string {
  return node.parent_id ?? conversation
}

/** The messages on screen, from first to last. Where nobody chose, the newest branch is shown. */
export function visiblePath(nodes: readonly Node[], choices: Choices, conversation: string): Step[] {
  const below = new Map<string, Node[]>()
  for (const node of nodes) {
    const place = placeOf(node, conversation)
    const siblings = below.get(place)
    if (siblings) siblings.push(node)
    else below.set(place, [node])
  }
  const path: Step[] = []
  let place = conversation
  for (;;) {
    const siblings = below.get(place)
    if (!siblings) return path
    below.delete(place) // a malformed tree may bite its own tail
    const shown = siblings.find((node) => node.id === choices[place]) ?? siblings[siblings.length - 1]
    if (!shown) return path
    path.push(stepOf(shown, siblings))
    place = shown.id
  }
}

const steps = new WeakMap<Node, Step>()

/** The same step again while nothing about it has changed, so that what draws it need not. */
function stepOf(node: Node, siblings: Node[]): Step {
  const before = steps.get(node)
  const isSame = before?.siblings.length === siblings.length && siblings.every(({ id }, index) => id === before.siblings[index])
  if (before && isSame) return before
  const step = { ...node, siblings: siblings.map(({ id }) => id) }
  steps.set(node, step)
  return step
}
