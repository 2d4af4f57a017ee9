/** What is said in an observed conversation, none of which telemetry may hold. */
export interface Said {
  readonly id: string;
  readonly user: string;
  readonly argument: string;
  readonly result: string;
  readonly answer: string;
  /** The argument of a tool call that fails. */
  readonly broken: string;
  readonly email: string;
}
