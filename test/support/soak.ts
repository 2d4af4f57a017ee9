/** How often a long check runs: the short form in `npm test`, the full number in `npm run soak`. */
export function rounds(short: number, full: number): number {
  return process.env['STRONGROOM_SOAK'] === undefined ? short : full;
}
