import type { Discarding, SendCommand } from './client.ts';
import type { Duplicable } from './tracking.ts';

/** Where connections come from. */
export interface Source extends Discarding {
  readonly connect: () => Promise<SendCommand>;
  readonly close: () => Promise<void>;
  /** Calls back whenever a connection was made, by the client itself too. */
  readonly onConnection: (made: () => void) => void;
  readonly isCluster?: boolean;
  /** What is connected, for another connection to the same target; absent where that cannot listen. */
  readonly duplicable?: () => Duplicable | undefined;
}
