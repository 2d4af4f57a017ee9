interface ProcessLike {
  emitWarning?(message: string, options: { readonly type: string; readonly code: string }): void;
}

/** A process warning, where the runtime has them: a library does not write to the console. Never throws. */
export function warn(code: string, message: string): void {
  try {
    (globalThis as { process?: ProcessLike }).process?.emitWarning?.(message, {
      type: 'StrongroomWarning',
      code,
    });
  } catch {
    // Node throws from emitWarning under --throw-deprecation only; the caller must continue either way.
  }
}
