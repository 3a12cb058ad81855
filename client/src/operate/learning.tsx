/** How a run learns, as a part of forms: its way, what else differs from the default recipe, and the reward profile. */

import { Select, Stack, Textarea } from '@mantine/core'

import { useProfiles, useRecipe } from './calls'
import { algorithms, recipeOf, type Written } from './recipe'
import { isWord, useWords } from './words'

export interface Learning {
  recipe: Written
  /** Null: the active one. */
  reward_profile: string | null
}

interface LearningFieldsProps {
  learning: Learning
  errorOf: (name: keyof Learning) => string | null
  onChange: (change: Partial<Learning>) => void
}

export function LearningFields({ learning, errorOf, onChange }: LearningFieldsProps) {
  const t = useWords()
  const known = useRecipe().data
  const profiles = useProfiles().data?.items ?? []
  const { recipe, reward_profile } = learning
  const usual = typeof known?.default.algorithm === 'string' ? known.default.algorithm : ''
  const names = new Set([...(known ? algorithms(known.json_schema) : []), ...(recipe.algorithm === null ? [] : [recipe.algorithm])])
  const wordOf = (name: string) => {
    const word = `recipe.algorithms.${name}`
    return isWord(word) ? t(word) : name
  }
  return (
    <Stack gap="sm">
      <Select
        label={t('recipe.algorithm')}
        placeholder={t('recipe.usual', { name: usual === '' ? '' : wordOf(usual) })}
        data={[...names].map((value) => ({ value, label: wordOf(value) }))}
        value={recipe.algorithm}
        onChange={(algorithm) => onChange({ recipe: { ...recipe, algorithm } })}
        clearable
      />
      <Textarea
        label={t('recipe.rest')}
        description={t('recipe.restHint')}
        value={recipe.rest}
        onChange={(event) => onChange({ recipe: { ...recipe, rest: event.currentTarget.value } })}
        error={recipeOf(recipe) === null ? t('recipe.noJson') : errorOf('recipe')}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        spellCheck={false}
        autosize
        minRows={2}
        maxRows={12}
      />
      <Select
        label={t('schedule.profile')}
        placeholder={t('schedule.activeProfile')}
        data={profiles.map((profile) => profile.name)}
        value={reward_profile}
        onChange={(name) => onChange({ reward_profile: name })}
        error={errorOf('reward_profile')}
        clearable
      />
    </Stack>
  )
}
