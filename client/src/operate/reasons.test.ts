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

  it('is told in Chinese with the reasons and words inside it', () => {
    const failed = 'in step policy: OSError: [Errno 28] No space left on device; free some disk space, then train again'
    expect(inChinese(failed)).toBe(
      '“策略”步骤：OSError：[Errno 28] No space left on device；请腾出一些磁盘空间，然后重新训练',
    )
    expect(inChinese('in step start: RuntimeError: out of memory; and nobody knows; what to do')).toBe(
      'in step start: RuntimeError: out of memory; and nobody knows; what to do',
    )
    const killed = "in step gate: the training process was killed by signal 15; see the run's log and the learner's, then train again"
    expect(inChinese(killed)).toBe('“关卡”步骤：训练进程被信号 15 终止；请查看这次训练的日志和学习进程的日志，然后重新训练')
    expect(inChinese('policy 7 is live; only a candidate waits for a decision')).toBe(
      '第 7 版的状态是在线；只有候选版本才等待决定',
    )
  })

  it('of a refused field is told with its place', () => {
    expect(inChinese('minimum_feedback: Input should be greater than or equal to 0')).toBe('minimum_feedback：应大于或等于 0')
    expect(inChinese("recipe field ppo.steps: Extra inputs are not permitted (found 4)")).toBe('配方字段 ppo.steps：没有这个字段（实际为 4）')
    expect(inChinese("profile field reward: Value error, the rule 'a' is unknown; styles are brevity, formal (found {})")).toBe(
      "奖励方案字段 reward：没有规则 'a'；可用的风格有 brevity, formal（实际为 {}）",
    )
    expect(inChinese("the blackout '9 25:00' cannot be read (weekdays go from 0 to 7, found 9); expected nothing")).toBe(
      "无法理解静默时段 '9 25:00'（星期应为 0 至 7，实际为 9）；expected nothing",
    )
    expect(inChinese("the aspect 'Wit' cannot be used as a name; take a small letter and up to 31 small letters, digits and underscores, and none of id")).toBe(
      "评分项 'Wit' 不能用作名称；应以小写字母开头，后接最多 31 个小写字母、数字和下划线，且不能是 id",
    )
  })

  it('keeps what operators wrote, even where it looks like a place', () => {
    expect(inChinese("the name '$1 {1}' is taken; choose another")).toBe("名称 '$1 {1}' 已被使用；请换一个")
  })

  it('stays as it is where nobody knows its form', () => {
    expect(inChinese('it says abc')).toBe('it says abc')
    expect(inChinese('it waited, and then the learner was not running')).toBe('it waited, and then the learner was not running')
  })
})
