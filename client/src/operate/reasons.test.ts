import { describe, expect, it } from 'vitest'

import { inChinese } from './reasons'

describe('a reason', () => {
  it('is told in Chinese with its figures', () => {
    expect(inChinese('the candidate is not surely liked more on held-out questions: gain 0.004 (-0.011 to 0.019)')).toBe(
      '在留出的问题上，候选版本并不确定更受喜欢：提高 0.004 (-0.011 to 0.019)',
    )
    expect(inChinese('thumbs down: 80% of 15 in the canary, 10% of 20 elsewhere; evidence 25.1, taken back at 20')).toBe(
      '差评：试用版本 80%（共 15），其他 10%（共 20）；证据 25.1，达到 20 即撤回',
    )
    expect(inChinese('3 new opinions, 50 wanted')).toBe('3 条新意见，需要 50 条')
  })

  it('stays as it is where nobody knows its form', () => {
    expect(inChinese('it says abc')).toBe('it says abc')
    expect(inChinese('it waited, and then the learner was not running')).toBe('it waited, and then the learner was not running')
  })
})
