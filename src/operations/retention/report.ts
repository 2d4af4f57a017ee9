/** The result of a run; with `dryRun`, of a run that would delete. Ids of sessions, never content. */
export interface RetentionReport {
  readonly dryRun: boolean;
  /** Another process was running the rules, so this run did nothing. */
  readonly skipped: boolean;
  /** Expired records, and the sessions that lost some. */
  readonly expired: { readonly items: number; readonly sessions: number };
  /** Sessions deleted as a whole. */
  readonly deleted: readonly string[];
  /** How many derived sessions with items were deleted with them, by kind. */
  readonly derived: Readonly<Record<string, number>>;
  /** Items cut from sessions by `keepLast`. */
  readonly trimmed: { readonly items: number; readonly sessions: number };
  /** Sessions that match a rule and are under a legal hold, on themselves or on another session of their conversation. */
  readonly held: readonly string[];
}

/** The report of a run that is not over. */
export interface RunningReport extends RetentionReport {
  expired: RetentionReport['expired'];
  readonly deleted: string[];
  readonly derived: Record<string, number>;
  trimmed: RetentionReport['trimmed'];
  readonly held: string[];
}

/** What a run has done so far. */
export interface RetentionProgress {
  /** Expired records that were deleted. */
  readonly expired: number;
  /** Sessions that were deleted as a whole, without those that belong to them. */
  readonly deleted: number;
  /** Sessions that were cut by `keepLast`. */
  readonly trimmed: number;
}

/** Options of one run. */
export interface RetentionRunOptions {
  /** Deletes nothing, and reports what would be deleted. Default `false`. */
  readonly dryRun?: boolean;
  /** Ends the run between two steps. */
  readonly signal?: AbortSignal;
  /** Called after each batch of expired records and after each session that a rule changed. Not with `dryRun`. */
  readonly onProgress?: (progress: RetentionProgress) => void;
}
