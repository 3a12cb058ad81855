/**
 * The console's own types against what the server declares. Where the server says `string` the console may know the
 * words; everything else has to be the same, or the client does not compile.
 */

import type * as wire from '../wire/http'
import type * as own from './shapes'

/** `never` where `Own` may stand for `Wire`; otherwise the name of what differs. */
type Differs<Own, Wire> = [null] extends [Wire]
  ? [null] extends [Own]
    ? Differs<NonNullable<Own>, NonNullable<Wire>>
    : 'is never null here'
  : [null] extends [Own]
    ? 'is null here alone'
    : [Wire] extends [readonly (infer Item)[]]
      ? [Own] extends [readonly (infer OwnItem)[]]
        ? Differs<OwnItem, Item>
        : 'is a list'
      : string extends keyof Wire
        ? never // a record of the server's, of which the console reads what it knows
        : [Wire] extends [object]
          ? { [Key in keyof Own | keyof Wire]: Field<Own, Wire, Key> }[keyof Own | keyof Wire]
          : [Own] extends [Wire]
            ? never
            : 'is something else'

type Field<Own, Wire, Key> = Key extends keyof Wire
  ? Key extends keyof Own
    ? [Differs<Own[Key], Wire[Key]>] extends [never]
      ? never
      : [Key, Differs<Own[Key], Wire[Key]>]
    : never // the console need not read everything
  : [Key, 'is not said by the server']

/** A list of what differs; it has to be empty. */
type Same<Differences extends never> = Differences

export type Checked = [
  Same<Differs<own.Run, wire.RunOut>>,
  Same<Differs<own.Metric, wire.MetricOut>>,
  Same<Differs<own.Policy, wire.PolicyOut>>,
  Same<Differs<own.ReleaseRules, wire.ReleaseRulesOut>>,
  Same<Differs<own.Canary, wire.CanaryOut>>,
  Same<Differs<own.CanaryCurve, wire.CanaryCurve>>,
  Same<Differs<own.Card, wire.Card>>,
  Same<Differs<own.Compared, wire.Compared>>,
  Same<Differs<own.VersionCounts, wire.VersionCounts>>,
  Same<Differs<own.Summary, wire.Summary>>,
  Same<Differs<own.Slot, wire.SlotOut>>,
  Same<Differs<own.Schedule, wire.ScheduleOut>>,
  Same<Differs<own.DryRun, wire.DryRun>>,
  Same<Differs<own.Feedback, wire.DeskFeedback>>,
]
