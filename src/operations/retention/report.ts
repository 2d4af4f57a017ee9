/** What a run did, or with `dryRun` would do. Ids of sessions, never content. */
export interface RetentionReport {
  readonly dryRun: boolean;
  /** Another process was at it, so this run did nothing. */
  readonly skipped: boolean;
  /** Expired records, and the sessions that lost some. */
  readonly expired: { readonly items: number; readonly sessions: number };
  /** Sessions deleted as a whole. */
  readonly deleted: readonly string[];
  /** How many sessions that belonged to them went with them, by kind. */
  readonly derived: Readonly<Record<string, number>>;
  /** Items cut from sessions by `keepLast`. */
  readonly trimmed: { readonly items: number; readonly sessions: number };
  /** Sessions that a rule meant and a legal hold kept. */
  readonly held: readonly string[];
}
