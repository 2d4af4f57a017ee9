import { CompactEncrypt, EncryptJWT, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';
import { KEY_PREFIXES } from '../../src/redaction/recognizers/key-prefixes.ts';

const redactor = createRedactor();
const SECRET = 'abcDEF123456ghiJKL789mnop';
const PASSWORD = 'Tr0ub4dor3xyz';

describe('JSON web tokens are replaced whole, in text, headers, cookies and JSON', () => {
  const tokens = (async () => {
    const secret = new Uint8Array(32).fill(7);
    const rsa = await generateKeyPair('RSA-OAEP-256');
    const ec = await generateKeyPair('ECDH-ES');
    const made: [string, string][] = [];
    for (const [alg, enc, key] of [
      ['dir', 'A256GCM', secret],
      ['dir', 'A128CBC-HS256', secret],
      ['dir', 'A256CBC-HS512', new Uint8Array(64).fill(7)],
      ['A256KW', 'A256GCM', secret],
      ['A256GCMKW', 'A128CBC-HS256', secret],
      ['PBES2-HS256+A128KW', 'A128GCM', secret],
      ['RSA-OAEP-256', 'A256GCM', rsa.publicKey],
      ['ECDH-ES', 'A128GCM', ec.publicKey],
      ['ECDH-ES+A256KW', 'A256CBC-HS512', ec.publicKey],
    ] as const) {
      const token = await new EncryptJWT({ sub: 'ada' }).setProtectedHeader({ alg, enc }).encrypt(key);
      made.push([`${alg} ${enc}`, token]);
    }
    const signed = await new SignJWT({ sub: 'ada' }).setProtectedHeader({ alg: 'HS256' }).sign(secret);
    const nested = await new CompactEncrypt(new TextEncoder().encode(signed))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', cty: 'JWT' })
      .encrypt(secret);
    const unsecured = new UnsecuredJWT({ sub: 'ada', name: 'Ada Lovelace' }).encode();
    made.push(['HS256', signed], ['nested', nested], ['unsecured', unsecured]);
    made.push(['two parts', unsecured.replace(/\.$/, '')]);
    made.push(['detached', signed.replace(/\.[\w-]+\./, '..')]);
    const spaced = btoa('{ "alg": "HS256" }').replaceAll('=', '');
    made.push(['a header with spaces', `${spaced}.${signed.split('.').slice(1).join('.')}`]);
    return made;
  })();

  test.each([
    ['', ''],
    ['got ', ' end'],
    ['Cookie: next-auth.session-token=', '; theme=dark'],
    ['Set-Cookie: __Secure-authjs.session-token=', '; Path=/; HttpOnly'],
    ['Authorization: Bearer ', ''],
    ['令牌', '过期'],
    ['{"error":"bad","token":"', '"} is what it said'],
    ['https://acme.test/cb?id_token=', '&state=1'],
  ])('%s…%s', async (before, after) => {
    for (const [name, token] of await tokens) {
      const text = await redactor.redactText(before + token + after);
      expect({ name, text }).toEqual({ name, text: `${before}<JWT>${after}` });
    }
  });

  test.each([
    'see eyJ.',
    'eyJ.eyJ.x',
    'file eyJhbGciOiJIUzI1NiJ9 alone',
    'ewok.village.people',
    'newsletter.example.com',
  ])('not in: %s', async (text) => expect(await redactor.analyze(text)).toEqual([]));
});

describe('secrets by the name before them', () => {
  test.each([
    `token: ${SECRET}`,
    `secret: ${SECRET}`,
    `id_token: ${SECRET}`,
    `refresh_token=${SECRET}&x=1`,
    `?a=1&token=${SECRET}`,
    `https://acme.test/cb#access_token=${SECRET}&expires_in=3600`,
    `AWS_SESSION_TOKEN=${SECRET}`,
    `export GITHUB_TOKEN="${SECRET}"`,
    `set SLACK_TOKEN='${SECRET}'`,
    `x-amz-security-token: ${SECRET}`,
    `X-Api-Key: ${SECRET}`,
    `aws_secret_access_key ${SECRET}`,
    `aws_secret_access_key = ${SECRET}`,
    `deploy --token ${SECRET} --force`,
    `deploy --api-key=${SECRET}`,
    `webhook_secret: ${SECRET}`,
    `client secret: ${SECRET}`,
    `clientSecret: '${SECRET}',`,
    `{"SessionToken":"${SECRET}"}`,
    `{"session_token":"${SECRET}"} was sent`,
    `{\\"secret\\":\\"${SECRET}\\"}`,
    `**Token:** ${SECRET}`,
    `token => ${SECRET}`,
    `<token>${SECRET}</token>`,
    `//registry.test/:_authToken=${SECRET}`,
    `Authorization: Bearer ${SECRET}`,
    `Authorization: Basic dXNlcjpwYXNzd29yZA==`,
    `Proxy-Authorization: Digest-x`.replace('Digest-x', `Token ${SECRET}`),
    `Cookie: theme=dark; connect.sid=s%3A${SECRET}; lang=en`,
    `Set-Cookie: PHPSESSID=${SECRET}; path=/`,
    `curl -H "Authorization: token ${SECRET}" https://acme.test`,
    `SECRET_KEY_BASE=${SECRET}`,
    `SharedAccessKey=${SECRET}${SECRET}=`,
    `Token:\n${SECRET}`,
    `- name: API_TOKEN\n  value: ${SECRET}`,
    `<add key="ApiToken" value="${SECRET}" />`,
    `<th>Access token</th><td>${SECRET}</td>`,
  ])('a token: %s', async (text) => {
    const redacted = await redactor.redactText(text);
    expect(redacted).toContain('<API_KEY>');
    expect(redacted).not.toMatch(/abcDEF|456ghi|mnop|dXNl/);
  });

  test.each([
    `password: ${PASSWORD}`,
    `Password=${PASSWORD}`,
    `my password is ${PASSWORD}.`,
    `PGPASSWORD=${PASSWORD} psql`,
    'DB_PASSWORD=letmein',
    `MYSQL_ROOT_PASSWORD: "${PASSWORD}"`,
    `Server=db;User Id=sa;Password=${PASSWORD};Encrypt=true`,
    `host:6380,password=${PASSWORD}=,ssl=True`,
    `curl -u ada:${PASSWORD} https://acme.test`,
    `curl --user 'ada:${PASSWORD}' https://acme.test`,
    `mysql --password=${PASSWORD} -h db`,
    `{"username":"ada","password":"${PASSWORD}"}`,
    '{"username":"ada","password":"letmein"}',
    `login(user, password='${PASSWORD}')`,
    `<password>${PASSWORD}</password>`,
    `passwd = ${PASSWORD}`,
    `spring.datasource.password=${PASSWORD}`,
    `smtp_pass: ${PASSWORD}`,
    `https://acme.test/login?user=ada&password=${PASSWORD}&next=/`,
    `Passwort: ${PASSWORD}`,
    `Kennwort lautet ${PASSWORD}`,
    `contraseña: ${PASSWORD}`,
    `mot de passe : ${PASSWORD}`,
    `senha é ${PASSWORD}`,
    `hasło: ${PASSWORD}`,
    `пароль: ${PASSWORD}`,
    `密码是${PASSWORD}`,
    `密码：${PASSWORD}，谢谢`,
    `パスワードは${PASSWORD}です`,
    `비밀번호는 ${PASSWORD}입니다`,
    `รหัสผ่าน ${PASSWORD}`.replace(' ', ': '),
    `كلمة المرور: ${PASSWORD}`,
    `סיסמה: ${PASSWORD}`,
    `पासवर्ड: ${PASSWORD}`,
    'password: P@ss!word',
    `{"auth":{"user":"ada","pass":"${PASSWORD}"}}`,
    `auth: { user: 'ada', pass: '${PASSWORD}' }`,
    '{"auth":{"user":"ada","pass":"letmein"}}',
    'PWD=letmein',
    'DB_PASS=letmein',
    'pwd="letmein"',
    'passphrase: "correct horse battery staple"',
    `passphrase "${PASSWORD}"`,
    `Passwort:\n${PASSWORD}`,
    `## Password\n\n**Password:**\n\n${PASSWORD}\n`,
    `- name: DB_PASSWORD\n  value: ${PASSWORD}`,
    `ALTER USER ada WITH PASSWORD '${PASSWORD}';`,
    `CREATE USER ada IDENTIFIED BY '${PASSWORD}'`,
    `create user ada identified with caching_sha2_password by '${PASSWORD}'`,
    `mysqldump -h db -u root -p${PASSWORD} shop`,
    `mariadb -uroot -p'${PASSWORD}' < dump.sql`,
    `sshpass -p ${PASSWORD} ssh ada@db`,
    `docker login -u ada -p ${PASSWORD} registry.test`,
    `helm registry login -u ada -p "${PASSWORD}" registry.test`,
    `net use z: \\\\host\\share /user:ada ${PASSWORD}`,
    ...(
      'lozinka geslo parool salasõna fjalëkalimi nenosiri slaptažodis lykilorð parolă contrasenya лозинка գաղտնաբառ პაროლი گذرواژه ' +
      'ססמה கடவுச்சொல் పాస్‌వర్డ్ ಪಾಸ್‌ವರ್ಡ್ പാസ്‌വേഡ് પાસવર્ડ ਪਾਸਵਰਡ මුරපදය ລະຫັດຜ່ານ ពាក្យសម្ងាត់ စကားဝှက် 暗証番号'
    )
      .split(' ')
      .flatMap((name) => [`${name}: ${PASSWORD}`, `{"${name}":"${PASSWORD}"}`]),
    `kata laluan: ${PASSWORD}`,
    `የይለፍ ቃል: ${PASSWORD}`,
    `پاس ورڈ: ${PASSWORD}`,
    `құпия сөз: ${PASSWORD}`,
  ])('a password: %s', async (text) => {
    const redacted = await redactor.redactText(text);
    expect(redacted).toContain('<PASSWORD>');
    expect(redacted).not.toMatch(/Tr0ub|dor3|letmein|P@ss|horse/);
  });

  test.each([
    'the token is invalid',
    'password:\n  min: 8\n  max: 64',
    'Password:\nplease choose one with 8 characters',
    'secret:\n  name: db-creds-1',
    'the password "required" is missing, and so is the token \'string\'',
    'mysql -u root -p',
    'docker run -p 8080:80 nginx1',
    'docker login -u ada --password-stdin',
    'mkdir -p /srv/app1 && cp -p file1 file2',
    'identified by 2 people',
    'the token is expired, please sign in again',
    'token: required',
    'token: string',
    'max_tokens: 4096, total_tokens=1234567, token count: 12345678901234567890',
    'next_page_token: CAoQAA1b2c3d4e5f6, pageToken=CAoQAA1b2c3d4e5f6',
    'Each token costs 0.0001 and the tokenizer splits "passwords"',
    'secret: yes',
    "secret: it's Jane's birthday",
    'password: required',
    'password: string',
    'Password: your account password',
    'password is case-sensitive',
    'password: min. 8 characters',
    'password: ********',
    'password: ${DB_PASSWORD}',
    'DB_PASSWORD=$PASSWORD',
    'DB_PASSWORD={{ vault.password }}',
    'password = os.environ["DB_PASSWORD1"]',
    'password=process.env.DB_PASSWORD_V2',
    'const password = getPassword1();',
    'password reset token: see below',
    'The password field: <password>',
    '{"password":"Passwort","confirmPassword":"Contraseña"}',
    '{"errors":{"password":"must have at least 8 characters"}}',
    '{"password":{"type":"string"},"token":"required"}',
    'PWD=/home/jane/project1',
    'pass: 128, fail: 3; compass: N45W30; passenger: 12A34B',
    'secret: /run/secrets/db_password1',
    '{"boarding":{"pass":"A12345B"},"season_pass_holder":"A12345B"}',
    'token_url: https://acme.test/oauth2/token1a2b3c4d5e',
    'token: https://acme.test/oauth2/v1a2b3c4d5e',
    'api_key=YOUR_API_KEY_HERE_PLEASE1',
    'Authorization: Bearer required',
    'Cookie: theme=dark; lang=en-US; _ga=GA1.2.1234567890.1234567890',
    'Set-Cookie: a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/',
    'bearer of the ring and basic authentication',
    'design_token: color-primary-500a1b2c3',
    'eos_token: </s1>, pad_token=<pad>',
    'git commit d41d8cd98f00b204e9800998ecf8427e',
    'curl -u ada https://acme.test:8080/x',
    'def f(self, private_key: ed25519.Ed25519PrivateKey)',
    '[![badge](https://acme.test/b.svg?token=xcfqHhJC37)](https://acme.test/gh/x)',
  ])('none in: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));
});

describe('keys by their prefix', () => {
  const POOL = 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6';
  /** Something that the body of a pattern takes. */
  const bodyFor = (body: string): string | undefined => {
    const pools = [
      POOL.repeat(4),
      'a1b2c3d4e5f60718293a4b5c6d7e8f90'.repeat(8),
      'A2B3C4D5E6F7G2H3J4K5L6M7N2P3Q4R5'.repeat(4),
      'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L'.repeat(2),
    ];
    for (const pool of pools) {
      for (const form of [
        pool,
        `services/${pool}`,
        `api/webhooks/123456789012345678/${pool}`,
        `1-${pool}`,
        `eyJ${pool}`,
      ]) {
        for (let length = 10; length <= 200; length++) {
          const candidate = form.slice(0, length);
          if (new RegExp(`^(?:${body})$`).test(candidate)) return candidate;
        }
      }
      const uuid = `${pool.slice(0, 8)}-${pool.slice(8, 12)}-${pool.slice(4, 8)}-${pool.slice(2, 6)}-${pool.slice(0, 12)}`;
      if (new RegExp(`^(?:${body})$`).test(uuid)) return uuid;
    }
    return undefined;
  };

  test('each is found, alone and within a sentence, and replaced whole', async () => {
    let count = 0;
    for (const [provider, prefixes, body] of KEY_PREFIXES) {
      const made = bodyFor(body);
      if (made === undefined) continue;
      for (const prefix of prefixes.split(' ')) {
        count++;
        const key = prefix + made;
        const text = await redactor.redactText(`use ${key} now`);
        expect({ provider, text }).toEqual({ provider, text: 'use <API_KEY> now' });
      }
    }
    expect(count).toBeGreaterThan(180);
  });

  test('a key with a full stop in it is replaced whole; a full stop at the end of a sentence stays', async () => {
    const key = `sk-proj-${POOL}.${POOL.slice(7)}`;
    expect(await redactor.redactText(`use ${key}. Then`)).toBe('use <API_KEY>. Then');
    expect(await redactor.redactText(`use ${key}`)).toBe('use <API_KEY>');
    expect(await redactor.redactText(`sk-${POOL.repeat(20)}!`)).toBe('<API_KEY>!');
  });

  test.each(['sk-', 'sk-proj-', 'sk-ant-api03-'])(
    'a key of the form sk-… whose parts between full stops are shorter than a key goes whole: %s',
    async (prefix) => {
      for (const size of [12, 13, 14]) {
        const body = (POOL.match(new RegExp(`.{${size}}`, 'g')) ?? []).join('.');
        expect(await redactor.redactText(`use ${prefix}${body} now`)).toBe('use <API_KEY> now');
      }
    },
  );

  test.each([
    'sk-learn.model_selection.train_test_split and sk-learn.ensemble.RandomForestClassifier',
    'sk-learn.1.5.2 needs numpy.2.1.3',
    'sk-learn-something-that-is-long-2024-edition',
    'blog-sk-learn-2024-tutorial-with-numbers-123',
    'fw_configuration_of_the_router_and_more',
    're_export_everything_from_the_module',
    'pa-lancaster-county-real-estate-listings-spring-2024',
    'fc-barcelona-versus-real-madrid-results',
    'as-a-matter-of-fact-this-is-a-slug',
    'https://acme.test/key-results-of-the-quarter-2026',
    'AKIA is a prefix, ghp_ too, and sk- as well',
  ])('none in: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));
});

test.each([
  'AWS_SESSION_TOKEN=%',
  'aws_session_token = %',
  '{"SessionToken":"%"}',
  '"secretAccessKey": "%"',
  'refresh_token: %',
])('a secret in which symbols of Base64 repeat goes whole: %s', async (form) => {
  for (const symbols of ['//////////', '++++', '____', '-----']) {
    const secret = `IQoJb3JpZ2luX2VjEJr${symbols}wEaCXVzLWVhc3QtMSJH`;
    expect(await redactor.redactText(form.replace('%', secret))).toBe(form.replace('%', '<API_KEY>'));
  }
});

test.each([
  'token=********************',
  'api_key: ....................',
  'secret=####-####-####-####',
  'token: ____________________',
])('what stands for a secret stays: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));

test('a key of Azure with only short runs between full stops is replaced whole', async () => {
  const key = 'xY.8Q~abcDEF123.ghiJKL456.mnoPQR789stuv';
  expect(await redactor.redactText(`secret id 7, value ${key} until May`)).toBe(
    'secret id 7, value <API_KEY> until May',
  );
});

describe('passwords in URLs', () => {
  test.each([
    ['postgres://app:s3cr3t@db.acme.com/x', 'postgres://app:<PASSWORD_IN_URL>@db.acme.com/x'],
    ['postgres://app:p@ss@db.acme.com/x', 'postgres://app:<PASSWORD_IN_URL>@db.acme.com/x'],
    [
      'mongodb+srv://app:pa#ss/wo?rd@cluster0.acme.com/x',
      'mongodb+srv://app:<PASSWORD_IN_URL>@cluster0.acme.com/x',
    ],
    [`amqp://app:${'x1'.repeat(300)}@mq/`, 'amqp://app:<PASSWORD_IN_URL>@mq/'],
    ['redis://localhost:6379/0 mail a@acme.com', 'redis://localhost:6379/0 mail <EMAIL_ADDRESS>'],
    ['http://acme.com:8080/a@b', 'http://acme.com:8080/a@b'],
    ['amqp://u:12345,abc@h', 'amqp://u:<PASSWORD_IN_URL>@h'],
    ['mongodb://app:s3cr3t@h1:27017,h2:27017/db', 'mongodb://app:<PASSWORD_IN_URL>@h1:27017,h2:27017/db'],
    ['kafka://h1:9092,app:s3cr3t@h2:9092', 'kafka://h1:<PASSWORD_IN_URL>@h2:9092'],
  ])('%s', async (text, expected) => expect(await redactor.redactText(text)).toBe(expected));

  test.each([
    [
      'mongodb://h1:27017,h2:27017/db?owner=jane@acme.com',
      'mongodb://h1:27017,h2:27017/db?owner=<EMAIL_ADDRESS>',
    ],
    ['amqp://h1:5672,h2/x?owner=jane@acme.com', 'amqp://h1:5672,h2/x?owner=<EMAIL_ADDRESS>'],
    ['amqp://h1:5672,h2:5672/@x', 'amqp://h1:5672,h2:5672/@x'],
    ['kafka://h1:9092,h2:9092;jane@acme.com', 'kafka://h1:9092,h2:9092;<EMAIL_ADDRESS>'],
    [
      'redis://h1.acme.com:6379,h2.acme.com:6379,jane@acme.com',
      'redis://h1.acme.com:6379,h2.acme.com:6379,<EMAIL_ADDRESS>',
    ],
    ['nats://h1:4222,h2:4222 mail jane@acme.com', 'nats://h1:4222,h2:4222 mail <EMAIL_ADDRESS>'],
  ])('the ports of several hosts are none: %s', async (text, expected) => {
    expect(await redactor.redactText(text)).toBe(expected);
  });

  test.each([['https://acme.com:8080/a@b', 'https://acme.com:8080/a@b']])('%s', async (text, expected) =>
    expect(await redactor.redactText(text)).toBe(expected),
  );
});
