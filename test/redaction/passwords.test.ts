import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

const redactor = createRedactor();

describe('commands and statements, in each of their spellings', () => {
  test.each([
    ['curl -u ada:%', 'letmein'],
    ['curl -uada:% https://acme.test', 'letmein'],
    ['curl -sSu ada:% https://acme.test', 'hunter2'],
    ["curl https://acme.test -u ada:'%'", 'letmein'],
    ['curl -U ada:% https://acme.test', 'letmein'],
    ['net use Z: \\\\server\\share % /user:CORP\\ada', 'Hunter2!x'],
    ['NET USE * \\\\server\\share %', 'Hunter2!x'],
    ['net.exe use z: \\\\server\\share /u:ada %', 'hunter2'],
    ['ALTER USER ada IDENTIFIED BY %;', 'letmein'],
    ['create user scott identified by %', 'tiger1'],
    ["ALTER USER ada WITH PASSWORD '%';", 'letmein'],
    ["CREATE ROLE ada WITH LOGIN ENCRYPTED PASSWORD '%'", 'letmein'],
    ["CREATE LOGIN ada WITH PASSWORD = '%'", 'letmein'],
  ])('%s', async (command, password) => {
    expect(await redactor.redactText(command.replace('%', password))).toBe(
      command.replace('%', '<PASSWORD>'),
    );
  });

  test.each([
    'curl -u ada https://acme.test:8080/x',
    'curl -u $USER:$PASS https://acme.test',
    'curl -u username:your-password https://acme.test',
    'use curl to read it: the time is 10:30',
    'net use Z: \\\\server\\share /persistent:yes',
    'run net use Z: \\\\server\\share then open the drive',
    'ALTER USER ada IDENTIFIED EXTERNALLY',
    'records are identified by user1234 in the log',
    'create user accounts with a password of "8 characters"',
  ])('none in: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));
});

test.each([
  ['"password": "%"', 'abc\\"def12ghi'],
  ['sent {"user": "ada", "password": "%"} to it', 'abc\\"def12ghi'],
  ['DB_PASSWORD="%"', 'Tr0ub\\"4dor99'],
  ["IDENTIFIED BY '%'", "Tr0ub''4dor99"],
  ["password='%'", "Tr0ub''4dor99"],
])('no part of a password stays behind a quote that is escaped or doubled: %s', async (form, password) => {
  expect(await redactor.redactText(form.replace('%', password))).toBe(form.replace('%', '<PASSWORD>'));
});

test('a quote that is not closed on its line takes nothing of the next one', async () => {
  const text = `path = "C:\\\\dir", password = "letmein\\"\nnext "line"`;
  expect(await redactor.redactText(text)).toMatch(/\nnext "line"$/);
});

describe('a part of a secret that looks like a stand-in does not make it one', () => {
  test.each([
    ['{"password":"%"}', 'TakeYourTime1', '<PASSWORD>'],
    ['{"password":"%"}', 'Hunter2!!!!', '<PASSWORD>'],
    ['DB_PASSWORD=%', 'BayourCity99', '<PASSWORD>'],
    ['{"api_key":"%"}', '4f9d8c7byour6a5e4d3c2b1a', '<API_KEY>'],
  ])('%s of %s', async (form, secret, expected) => {
    expect(await redactor.redactText(form.replace('%', secret))).toBe(form.replace('%', expected));
  });

  test.each([
    '{"password":"your-password"}',
    '{"password":"EnterYourPassword1"}',
    '{"api_key":"YOUR_API_KEY_HERE_1234"}',
    '{"api_key":"sk-your-api-key-1234567"}',
    'token=ab12************************',
    'secret=####-####-####-####',
  ])('a stand-in stays: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));
});

test('a name and its value on two lines of JSON in prose', async () => {
  const text = (value: string) => `see\n{\n  "name": "DB_PASSWORD",\n  "value": "${value}"\n}\nabove`;
  expect(await redactor.redactText(text('letmein'))).toBe(text('<PASSWORD>'));
  expect(await redactor.redactText(text('required'))).toBe(text('required'));
});

describe('lines of a unified diff', () => {
  test.each([
    ['https://u:p4ssw0rd@acme.test/', 'https://u:<PASSWORD_IN_URL>@acme.test/'],
    ['postgres://u:p4ssw0rd@db/x', 'postgres://u:<PASSWORD_IN_URL>@db/x'],
    ['DB_PASSWORD=letmein', 'DB_PASSWORD=<PASSWORD>'],
    ['078-05-1120', '<US_SSN>'],
    ['Cookie: sid=abc12345', 'Cookie: sid=<API_KEY>'],
  ])('%s', async (line, expected) => {
    for (const sign of ['+', '-', ' ']) {
      const diff = (text: string) => `@@ -1,2 +1,2 @@\n a\n${sign}${text}\n b`;
      const { items } = await redactor.redactItems([
        {
          type: 'apply_patch_call',
          callId: 'c',
          status: 'completed',
          operation: { type: 'update_file', path: '.env', diff: diff(line) },
        },
      ]);
      expect(items[0]).toMatchObject({ operation: { diff: diff(expected) } });
    }
  });

  test.each(['part-536-90-4399', 'no-cookie: a=b; theme-cookie: sid=abc12345', 'x\n-a=b'])(
    'a hyphen within a line joins: %s',
    async (text) => expect(await redactor.redactText(text)).toBe(text),
  );
});

describe('an address after a URL with a port', () => {
  const addresses = createRedactor({ entities: ['EMAIL_ADDRESS'] });
  test.each([
    'https://example.com:8080,%',
    'see http://localhost:3000|%',
    'proxy=http://10.0.0.1:3128&user=%',
    '[docs](http://x.test:80)%',
  ])('%s', async (form) => {
    for (const each of [addresses, redactor]) {
      const text = await each.redactText(form.replace('%', 'jane@acme.com'));
      expect(text.replace('<IP_ADDRESS>', '10.0.0.1')).toBe(form.replace('%', '<EMAIL_ADDRESS>'));
    }
  });

  test('a password of digits is one, and no address', async () => {
    expect(await redactor.redactText('https://ada:1234@acme.com/')).toBe(
      'https://ada:<PASSWORD_IN_URL>@acme.com/',
    );
    expect(await addresses.redactText('https://ada:1234@acme.com/')).toBe('https://ada:1234@acme.com/');
  });
});

describe('a password of several words is replaced whole where a command has one in quotes', () => {
  test.each([
    'curl -u "ada:%" https://acme.test',
    "curl -u 'ada:%' https://acme.test",
    'curl https://acme.test --user ada:"%"',
    "curl -sSu ada:'%' https://acme.test",
    'curl --proxy-user "ada:%" -o x https://acme.test',
    'mysql -u root -p"%" shop',
    "mysqldump -p'%' shop",
    'sshpass -p "%" ssh ada@host',
    "docker login -u ada -p '%' registry",
    'net use Z: \\\\server\\share "%" /user:ada',
    'net use Z: \\\\server\\share /user:ada "%"',
    "CREATE USER ada IDENTIFIED BY '%';",
    "ALTER USER ada WITH PASSWORD '%'",
  ])('%s', async (command) => {
    for (const password of ['two words', 'a b c d', 'correct horse battery 9', "it''s  raining"]) {
      const quoted = command.includes("'") ? password : password.replace("''", "'");
      if (quoted.includes("'") && !/IDENTIFIED|PASSWORD|"/.test(command)) continue;
      expect(await redactor.redactText(command.replace('%', quoted))).toBe(
        command.replace('%', '<PASSWORD>'),
      );
    }
  });

  test('up to the quote that closes, past one that is escaped', async () => {
    expect(await redactor.redactText('curl -u "ada:say \\"please\\" twice" https://acme.test "x y"')).toBe(
      'curl -u "ada:<PASSWORD>" https://acme.test "x y"',
    );
  });

  test.each([
    'curl -u "$USER:$PASS word" https://acme.test',
    'curl -u "ada:your password here" https://acme.test',
    'curl -u "username:the password" https://acme.test',
    "records are identified by 'customer name and town' in the log",
    'grep -u "see: two words" file',
    'mysql -u root -p "shop of words"',
  ])('none in: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));
});

describe('a password in markup', () => {
  test.each([
    '<td>Password</td>\n<td>%</td>',
    '<td>Password:</td><td>%</td>',
    '<tr>\n  <td>\n    Password\n  </td>\n  <td>\n    %\n  </td>\n</tr>',
    '<td><b>Password</b></td>\n<td><code>%</code></td>',
    '<b>Password:</b> %<br>',
    'Password: <b>%</b>',
    'User: ada<br>Password:<br>%',
    '<key>Password</key>\n<string>%</string>',
    '<dt>Passwort</dt>\r\n<dd>%</dd>',
  ])('%j', async (form) => {
    expect(await redactor.redactText(form.replace('%', 'hunter2'))).toBe(form.replace('%', '<PASSWORD>'));
  });

  test.each([
    '<td>Password</td>\n<td>Required</td>',
    '<td>Password</td>\n<td></td>\n<td>item2000</td>',
    '<p>Reset your password:</p>\n<p>GitHub has a page for it</p>',
    'Password:<br>GitHub asks for it',
    '<td>Forgot password</td>\n<td>Click here</td>',
    'password: <a href="x1y2z3">reset</a>',
  ])('none in: %j', async (text) => expect(await redactor.redactText(text)).toBe(text));
});
