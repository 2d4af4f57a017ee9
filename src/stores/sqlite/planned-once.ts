/**
 * The same statement with `LIMIT 0+?` for `LIMIT ?`. SQLite plans a statement for the number that a bare parameter there
 * has, so it compiles the statement again each time that one is bound, even the same (seen with SQLite 3.53). That takes longer
 * than reading a short history.
 */
export function plannedOnce(sql: string): string {
  return sql.replace(/\bLIMIT \?/g, 'LIMIT 0+?');
}
