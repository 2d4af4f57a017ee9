const PIECES: readonly string[] = [
  ...Array.from('aZ0 .-_/+=:@%\\&,;"\'{}[]()<>|#*\n\t\r\0é漢한あกनעא🙂𝕒７\u00ad\u200b\ud800\udc00'),

  'jane@acme.com',
  '4111111111111111',
  '+14155552671',
  '4155552671',
  '123-45-6789',
  'DE89370400440532013000',

  '203.0.113.77',
  '2001:db8::1',
  '00:1b:44:11:3a:b7',
  'sk-abcDEF123456ghiJKL789',
  'eyJhbGciOiJIUzI1NiJ9.e30.',

  '-----BEGIN PRIVATE KEY-----',
  '-----END PRIVATE KEY-----',
  'data:a/b;base64,',
  'https://a:b@c.de/',
  '%40',
  '&#64;',

  '\\u0040',
  '\\n',
  '\\t',
  '\\x0a',
  '\x1b[31m',
  '&nbsp;',
  '=3D',
  '<PHONE_NUMBER>',
  '<EMAIL_ADDRESS_bcdfghjklmnpqrstbcdf>',
  'phone: ',
  'Phone:\n',
  '| ssn | ',
  'password=',
  'token: ',

  'name,phone\n',
  '{"name":"ssn","value":',
  '"value"',
  ':',
  '电话',
  'телефон ',
  'order ',
  'id ',
  'version ',
];

/** A generator of numbers that gives the same for the same seed (Numerical Recipes, 7.1). */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Texts made of anything, the same for the same numbers. */
export function randomText(next: (below: number) => number): string {
  let text = '';
  for (let count = next(24); count >= 0; count--) {
    const piece = PIECES[next(PIECES.length)] as string;
    text += next(12) === 0 ? piece.repeat(next(40)) : piece;
  }
  return text;
}
