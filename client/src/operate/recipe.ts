/** A recipe as forms and cards speak of it: only what differs from the default. */

import type { Json } from './shapes'

/** As a form holds it: the way of learning by its name, all else as JSON text. */
export interface Written {
  /** Null: the default one. */
  algorithm: string | null
  rest: string
}

export function written(recipe: Json): Written {
  const { algorithm, ...rest } = recipe
  return {
    algorithm: typeof algorithm === 'string' ? algorithm : null,
    rest: Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '',
  }
}

/** The recipe that a form asks for; null while its text is no JSON object. */
export function recipeOf({ algorithm, rest }: Written): Json | null {
  const own = algorithm === null ? {} : { algorithm }
  if (rest.trim() === '') return own
  try {
    const found: unknown = JSON.parse(rest)
    return isObject(found) ? { ...own, ...found, ...own } : null
  } catch {
    return null
  }
}

/** Each field that differs, by its path: `ppo.clip = 0.1`. */
export function told(recipe: Json, above = ''): string[] {
  return Object.entries(recipe).flatMap(([name, value]) => {
    const path = above ? `${above}.${name}` : name
    return isObject(value) ? told(value, path) : [`${path} = ${typeof value === 'string' ? value : JSON.stringify(value)}`]
  })
}

/** The ways of learning that the server's schema of a recipe names. */
export function algorithms(schema: Json): string[] {
  const { properties } = schema
  return isObject(properties) ? named(properties.algorithm) : []
}

function named(part: unknown): string[] {
  if (!isObject(part)) return []
  const { anyOf, enum: several, const: one } = part
  const found = [...(Array.isArray(several) ? (several as unknown[]) : []), one]
  const own = found.filter((name): name is string => typeof name === 'string')
  return Array.isArray(anyOf) ? [...own, ...anyOf.flatMap(named)] : own
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
