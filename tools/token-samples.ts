/**
 * Text of the kinds that conversations hold, written for this repository, to fit and to check the token estimate.
 * The texts that fit it and the texts that check it are different ones.
 */
export interface TokenSample {
  readonly kind: string;
  readonly fit: string;
  readonly check: string;
}

/** A repeatable stream of bytes; the samples must not change from run to run. */
function bytes(count: number, seed: number): Uint8Array {
  const result = new Uint8Array(count);
  let state = seed;
  for (let index = 0; index < count; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    result[index] = state >>> 24;
  }
  return result;
}

const base64 = (seed: number): string => btoa(String.fromCharCode(...bytes(1_500, seed)));
const hex = (seed: number): string =>
  Array.from(bytes(700, seed), (byte) => byte.toString(16).padStart(2, '0')).join('');

export const TOKEN_SAMPLES: readonly TokenSample[] = [
  {
    kind: 'English',
    fit: `Thank you for waiting. I have looked at your booking and found the reason why the payment did not go through: the card that you used last year has expired, and the new one was never added to your profile. If you like, I can send you a link where you enter the number yourself, so that nobody here ever sees it. The seat you asked for is still free, but it is held for only twenty minutes. Please tell me whether you would rather fly in the morning or in the afternoon, and whether the second suitcase should travel with you. There is no charge for the change because the airline moved the departure by more than three hours. Once it is done you will receive a confirmation by mail. We apologise for the inconvenience, and we would be glad to answer any further questions about insurance, special meals or assistance at the airport.`,
    check: `My parcel was supposed to arrive on Tuesday, yet the tracking page still says that it left the warehouse and nothing else. I called the shop twice; the first person promised to look into it, and the second one could not find my order at all. What I need is simple: either somebody tells me where the box is, or I get my money back before the weekend. The present inside is for my daughter, who turns seven on Sunday, so a replacement next month would not help us. I kept the receipt and the name of everyone I spoke to. Could you check with the carrier, please, and write to me rather than call, since I cannot take calls during my shift at the hospital?`,
  },
  {
    kind: 'German',
    fit: `Vielen Dank für Ihre Geduld. Ich habe Ihre Buchung geprüft und den Grund gefunden, warum die Zahlung nicht durchgegangen ist: Die Kreditkarte, die Sie im vergangenen Jahr verwendet haben, ist abgelaufen, und die neue wurde nie in Ihrem Kundenkonto hinterlegt. Wenn Sie möchten, schicke ich Ihnen eine Verknüpfung, über die Sie die Nummer selbst eingeben können. Der gewünschte Sitzplatz ist noch frei, wird aber nur zwanzig Minuten zurückgehalten. Bitte teilen Sie mir mit, ob Sie lieber vormittags oder nachmittags fliegen und ob der zweite Koffer mitreisen soll. Für die Umbuchung fällt keine Gebühr an, weil die Fluggesellschaft die Abflugzeit um mehr als drei Stunden verschoben hat. Sobald alles erledigt ist, erhalten Sie eine Bestätigung per Nachricht. Wir entschuldigen uns für die Unannehmlichkeiten und beantworten gerne weitere Fragen zu Versicherung, Sonderverpflegung oder Betreuung am Flughafen.`,
    check: `Mein Paket hätte am Dienstag ankommen sollen, doch in der Sendungsverfolgung steht immer noch nur, dass es das Lager verlassen hat. Ich habe zweimal beim Händler angerufen; die erste Mitarbeiterin versprach, sich darum zu kümmern, der zweite konnte meine Bestellung überhaupt nicht finden. Was ich brauche, ist einfach: Entweder sagt mir jemand, wo sich die Lieferung befindet, oder ich bekomme vor dem Wochenende mein Geld zurück. Das Geschenk ist für meine Tochter, die am Sonntag sieben Jahre alt wird, deshalb hilft uns eine Ersatzlieferung im nächsten Monat nicht weiter. Den Kassenbeleg habe ich aufbewahrt. Könnten Sie bitte beim Zustelldienst nachfragen und mir schreiben, anstatt anzurufen, weil ich während meiner Schicht im Krankenhaus nicht telefonieren kann?`,
  },
  {
    kind: 'French',
    fit: `Merci d'avoir patienté. J'ai vérifié votre réservation et trouvé pourquoi le paiement n'est pas passé : la carte que vous aviez utilisée l'année dernière a expiré, et la nouvelle n'a jamais été ajoutée à votre profil. Si vous le souhaitez, je vous envoie un lien où vous saisirez vous-même le numéro. La place demandée est encore libre, mais elle n'est gardée que vingt minutes. Dites-moi si vous préférez voyager le matin ou l'après-midi, et si la deuxième valise doit partir avec vous.`,
    check: `Mon colis devait arriver mardi, mais la page de suivi indique toujours qu'il a quitté l'entrepôt, et rien d'autre. J'ai appelé deux fois la boutique ; la première personne a promis de s'en occuper, la seconde n'a même pas retrouvé ma commande. Soit quelqu'un me dit où se trouve la boîte, soit on me rembourse avant la fin de la semaine, car le cadeau est pour ma fille.`,
  },
  {
    kind: 'Spanish',
    fit: `Gracias por esperar. He revisado su reserva y he encontrado el motivo por el que no se realizó el pago: la tarjeta que usó el año pasado ha caducado y la nueva nunca se añadió a su perfil. Si lo desea, puedo enviarle un enlace para que introduzca usted mismo el número. El asiento que pidió sigue libre, pero solo se guarda durante veinte minutos. Dígame si prefiere viajar por la mañana o por la tarde.`,
    check: `Mi paquete tenía que llegar el martes, pero en la página de seguimiento solo pone que salió del almacén. Llamé dos veces a la tienda; la primera persona prometió averiguarlo y la segunda ni siquiera encontró mi pedido. O alguien me dice dónde está la caja, o me devuelven el dinero antes del fin de semana, porque el regalo es para mi hija.`,
  },
  {
    kind: 'Russian',
    fit: `Спасибо за ожидание. Я проверила ваше бронирование и нашла причину, по которой платёж не прошёл: срок действия карты, которой вы пользовались в прошлом году, истёк, а новая так и не была добавлена в профиль. Если хотите, я пришлю ссылку, по которой вы сами введёте номер. Место у окна ещё свободно, но его держат только двадцать минут. Сообщите, пожалуйста, когда вам удобнее лететь, утром или днём.`,
    check: `Моя посылка должна была прийти во вторник, но на странице отслеживания по-прежнему написано, что она покинула склад. Я дважды звонил в магазин: первый сотрудник обещал разобраться, второй вообще не нашёл мой заказ. Либо мне скажут, где находится коробка, либо вернут деньги до выходных, потому что подарок для дочери.`,
  },
  {
    kind: 'Arabic',
    fit: `شكرا على انتظارك. لقد راجعت حجزك ووجدت سبب عدم إتمام الدفع: البطاقة التي استخدمتها في العام الماضي انتهت صلاحيتها، ولم تتم إضافة البطاقة الجديدة إلى حسابك. إذا رغبت، يمكنني أن أرسل إليك رابطا لتدخل الرقم بنفسك. المقعد الذي طلبته ما زال متاحا، لكنه محجوز لعشرين دقيقة فقط. من فضلك أخبرني هل تفضل السفر في الصباح أم بعد الظهر، وهل ستسافر الحقيبة الثانية معك. لا توجد رسوم على التغيير لأن شركة الطيران أخرت الموعد أكثر من ثلاث ساعات.`,
    check: `كان من المفترض أن يصل طردي يوم الثلاثاء، لكن صفحة التتبع ما زالت تقول إنه غادر المستودع فقط. اتصلت بالمتجر مرتين؛ وعدني الموظف الأول بالبحث عن الأمر، أما الثاني فلم يجد طلبي على الإطلاق. ما أحتاج إليه بسيط: إما أن يخبرني أحد أين الصندوق، أو أستعيد نقودي قبل نهاية الأسبوع، لأن الهدية لابنتي التي ستبلغ السابعة يوم الأحد.`,
  },
  {
    kind: 'Hebrew',
    fit: `תודה על ההמתנה. בדקתי את ההזמנה שלך ומצאתי מדוע התשלום לא עבר: תוקף הכרטיס שבו השתמשת בשנה שעברה פג, והכרטיס החדש מעולם לא נוסף לפרופיל. אם תרצה, אוכל לשלוח לך קישור שבו תזין את המספר בעצמך. המושב שביקשת עדיין פנוי, אך הוא שמור רק לעשרים דקות.`,
    check: `החבילה שלי הייתה אמורה להגיע ביום שלישי, אבל בדף המעקב עדיין כתוב רק שהיא יצאה מהמחסן. התקשרתי לחנות פעמיים; האדם הראשון הבטיח לבדוק, והשני לא מצא את ההזמנה שלי בכלל. אני מבקש שמישהו יגיד לי איפה החבילה או יחזיר לי את הכסף.`,
  },
  {
    kind: 'Chinese',
    fit: `感谢您的耐心等待。我查看了您的预订，找到了付款没有成功的原因：您去年使用的信用卡已经过期，而新卡从未添加到您的账户中。如果您愿意，我可以发送一个链接，由您自己输入卡号，这样这里没有任何人会看到它。您要求的座位仍然空着，但只保留二十分钟。请告诉我您希望上午还是下午出发，以及第二件行李是否需要托运。由于航空公司把起飞时间推迟了三个多小时，所以改签不收取任何费用。完成之后您会收到确认邮件。给您带来不便，我们深表歉意，也很乐意回答有关保险、特殊餐食或者机场协助的其他问题。`,
    check: `我的包裹本来应该在星期二送到，可是物流页面上仍然只显示它已经离开仓库。我给商店打了两次电话，第一个人答应帮我查，第二个人根本找不到我的订单。我需要的很简单：要么有人告诉我箱子在哪里，要么在周末之前把钱退给我。里面的礼物是给我女儿的，她星期天就满七岁了，所以下个月再补发对我们没有帮助。收据我一直留着。请您向快递公司询问一下，然后给我写信，不要打电话，因为我在医院上班的时候不能接电话。`,
  },
  {
    kind: 'Japanese',
    fit: `お待たせいたしました。ご予約を確認したところ、お支払いが完了しなかった理由がわかりました。昨年ご利用になったカードの有効期限が切れており、新しいカードがまだ登録されていません。ご希望でしたら、お客様ご自身で番号を入力できるリンクをお送りします。ご希望の座席はまだ空いていますが、二十分間しか確保できません。午前と午後のどちらの便がよろしいか、お知らせください。`,
    check: `荷物は火曜日に届くはずでしたが、追跡ページにはまだ倉庫を出たとしか書かれていません。お店に二回電話しましたが、最初の人は調べると約束し、二人目は私の注文を見つけることもできませんでした。箱がどこにあるのか教えていただくか、週末までに返金してください。中身は日曜日に七歳になる娘へのプレゼントです。`,
  },
  {
    kind: 'Korean',
    fit: `기다려 주셔서 감사합니다. 예약을 확인해 보니 결제가 되지 않은 이유를 찾았습니다. 작년에 사용하신 카드가 만료되었고 새 카드는 아직 등록되지 않았습니다. 원하시면 직접 번호를 입력하실 수 있는 링크를 보내 드리겠습니다. 요청하신 좌석은 아직 비어 있지만 이십 분 동안만 잡아 둘 수 있습니다. 오전과 오후 중 언제 출발하고 싶으신지 알려 주세요.`,
    check: `제 소포는 화요일에 도착해야 했는데 배송 조회 화면에는 아직도 창고를 떠났다고만 나옵니다. 가게에 두 번 전화했는데 첫 번째 사람은 알아보겠다고 약속했고 두 번째 사람은 제 주문을 아예 찾지 못했습니다. 상자가 어디에 있는지 알려 주시거나 주말 전에 환불해 주세요.`,
  },
  {
    kind: 'Hindi',
    fit: `प्रतीक्षा करने के लिए धन्यवाद। मैंने आपकी बुकिंग देखी और पता चला कि भुगतान क्यों नहीं हुआ: पिछले साल आपने जिस कार्ड का उपयोग किया था उसकी अवधि समाप्त हो गई है और नया कार्ड अभी तक जोड़ा नहीं गया है। यदि आप चाहें तो मैं आपको एक लिंक भेज सकती हूँ जहाँ आप स्वयं नंबर डाल सकते हैं।`,
    check: `मेरा पार्सल मंगलवार को आना चाहिए था, लेकिन ट्रैकिंग पृष्ठ पर अब भी केवल यही लिखा है कि वह गोदाम से निकल चुका है। मैंने दुकान पर दो बार फोन किया, पहले व्यक्ति ने पता लगाने का वादा किया और दूसरे को मेरा आदेश मिला ही नहीं।`,
  },
  {
    kind: 'JSON',
    fit: JSON.stringify({
      name: { first_name: 'Mara', last_name: 'Okafor' },
      address: {
        address1: '17 Lindenhof',
        address2: 'Suite 204',
        city: 'Denver',
        country: 'USA',
        zip: '80014',
      },
      email: 'mara.okafor@example.com',
      dob: '1988-11-02',
      payment_methods: {
        credit_card_1029384: {
          source: 'credit_card',
          brand: 'visa',
          last_four: '4421',
          id: 'credit_card_1029384',
        },
        gift_card_5566778: { source: 'gift_card', amount: 120, id: 'gift_card_5566778' },
      },
      reservations: [
        {
          id: 'QX7T2P',
          origin: 'DEN',
          destination: 'JFK',
          flight_number: 'HAT112',
          date: '2024-05-19',
          price: 188,
          cabin: 'economy',
        },
        {
          id: 'L0PZ9K',
          origin: 'JFK',
          destination: 'DEN',
          flight_number: 'HAT044',
          date: '2024-05-26',
          price: 203,
          cabin: 'economy',
        },
      ],
      membership: 'gold',
      available: true,
    }),
    check: JSON.stringify([
      {
        order_id: '#W4817420',
        user_id: 'liam_nowak_2271',
        status: 'delivered',
        items: [
          {
            product_id: '3074185296',
            item_id: '9884666842',
            price: 264.31,
            options: { color: 'dark blue', size: 'L' },
          },
          {
            product_id: '7765186836',
            item_id: '5650803029',
            price: 324.63,
            options: { storage: '128GB', screen: '7-inch' },
          },
        ],
        fulfillments: [{ tracking_id: ['646537643916'], shipped_at: '2024-02-11T09:30:00Z' }],
        payment_history: [
          { transaction_type: 'payment', amount: 588.94, payment_method_id: 'paypal_3024827' },
        ],
      },
      { order_id: '#W9318778', status: 'pending', cancelled: false, refund: null, notes: [] },
    ]),
  },
  {
    kind: 'code',
    fit: `export async function readAll(stream: ReadableStream<Uint8Array>, limit = 1_048_576): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.byteLength;
    if (length > limit) throw new RangeError(\`more than \${limit} bytes\`);
    chunks.push(chunk);
  }
  const result = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    result.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return result;
}

class Counter {
  #value = 0;
  get value() { return this.#value; }
  increment(by = 1) { this.#value += by; return this; }
}
`,
    check: `def merge_intervals(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge overlapping intervals; the input may be unsorted."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


if __name__ == "__main__":
    import sys
    pairs = [tuple(map(int, line.split())) for line in sys.stdin if line.strip()]
    for begin, finish in merge_intervals(pairs):
        print(f"{begin:>8} {finish:>8}")

SELECT c.id, c.name, COUNT(o.id) AS orders, SUM(o.total_cents) / 100.0 AS total
FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
WHERE o.created_at >= '2024-01-01' AND c.deleted_at IS NULL
GROUP BY c.id, c.name HAVING COUNT(o.id) > 3 ORDER BY total DESC LIMIT 50;
`,
  },
  { kind: 'base64', fit: base64(7), check: base64(11) },
  { kind: 'hex', fit: hex(3), check: hex(5) },
  {
    kind: 'Markdown',
    fit: `## Refund policy

| case | refund | within |
|------|--------|--------|
| cancelled by the airline | 100 % | 7 days |
| cancelled by you, flexible fare | 80 % | 14 days |

1. **Ask** the customer for the *booking reference*.
2. Look it up with \`get_booking\`.
   - If it is older than 24 hours, go on with step 3.
   - Otherwise see [the fee table](https://example.com/fees?class=economy&lang=en#table).

> Never promise a refund before step 2 is done!
`,
    check: `# Setup

Install the package, then run the checks:

\`\`\`sh
npm ci && npm test -- --reporter=dot
\`\`\`

- [x] read the guide
- [ ] open an issue at <https://example.org/issues/new>
- [ ] ask in the forum, *before* you change \`config.yml\`

**Note:** versions \`>= 2.4.0\` need Node 22 (see the table below).

| name | default | meaning |
|:-----|--------:|:--------|
| \`timeout\` | 30 | seconds |
| \`retries\` | 2 | attempts after the first |
`,
  },
];
