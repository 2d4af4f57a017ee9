/** The result of a run; with `dryRun`, of a run that would delete. Ids of sessions, never content. */
export interface RetentionReport {
  readonly dryRun: boolean;
  /** Another process was running the rules, so this run did nothing. */
  readonly skipped: boolean;
  /** Expired records, and the sessions that lost some. */
  readonly expired: { readonly items: number; readonly sessions: number };
  /** Sessions deleted as a whole. */
  readonly deleted: readonly string[];
  /** How many derived sessions were deleted with them, by kind. */
  readonly derived: Readonly<Record<string, number>>;
  /** Items cut from sessions by `keepLast`. */
  readonly trimmed: { readonly items: number; readonly sessions: number };
  /** Sessions that match a rule and are under a legal hold. */
  readonly held: readonly string[];
}
