/** Whose feedback is wanted: somebody who is found by a part of their name. */

import { Select } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState } from 'react'

import { useGiver, usePeople } from './calls'
import { useWords } from './words'

const TYPING_MILLISECONDS = 250

export function PersonFilter({ person, onChoose }: { person: string | null; onChoose: (id: string | null) => void }) {
  const t = useWords()
  const [typed, setTyped] = useState('')
  const [query] = useDebouncedValue(typed, TYPING_MILLISECONDS)
  const people = usePeople({ query, role: null, guests: false })
  const found = people.data?.pages[0]?.items ?? []
  const chosen = useGiver(person).data
  // Whoever is chosen need not be among those who were found: a guest never is.
  const names = new Map(found.flatMap(({ id, name }) => (name === null ? [] : [[id, name]])))
  if (chosen) names.set(chosen.person_id, chosen.name ?? t('desk.anonymous'))
  return (
    <Select
      size="xs"
      label={t('desk.person')}
      placeholder={t('desk.any')}
      data={[...names].map(([value, label]) => ({ value, label }))}
      value={person}
      onChange={onChoose}
      onSearchChange={setTyped}
      nothingFoundMessage={!people.isPending && t('person.empty')}
      searchable
      clearable
    />
  )
}
