import { errorsDe } from './error-texts-de.ts'
import type { Texts } from './texts-en.ts'

/** The texts in German. */
export const de: Texts = {
  footer: {
    label: 'Über diese Seite',
    languages: 'Sprache',
    imprint: 'Impressum',
    privacy: 'Datenschutz',
    help: 'Hilfe',
  },
  words: {
    back: 'Zurück zum Programm',
    reference: 'Referenz',
    time: 'Zeit',
    more: (count) => `und ${count} weitere`,
  },
  chooser: {
    title: (cloud) => `Bei ${cloud} anmelden`,
    lead: (client) => `${client} möchte wissen, wer Sie sind. Wo haben Sie Ihr Konto?`,
    last: 'zuletzt benutzt',
    otherHeading: 'Eine andere Organisation?',
    label: 'Ihre E-Mail-Domain oder der Name Ihrer Organisation',
    example: 'Zum Beispiel: universitaet.example',
    find: 'Suchen',
    notFound: (value) =>
      `Zu „${value}“ ist keine Organisation bekannt. Prüfen Sie die Schreibweise oder fragen Sie Ihre Administration nach dem Link zur Anmeldung.`,
    note: (cloud) => `Sie werden zu Ihrer Organisation geschickt. ${cloud} sieht Ihr Passwort nie.`,
  },
  discovery: {
    title: 'Finden Sie Ihre Einrichtung',
    lead: (client: string, federation: string) =>
      `${client} möchte wissen, wer Sie sind. Wählen Sie die Einrichtung in ${federation}, bei der Sie Ihr Konto haben.`,
    last: 'zuletzt benutzt',
    forget: 'Diese Wahl vergessen',
    label: 'Name oder Domain Ihrer Einrichtung',
    example: 'Ein Teil des Namens genügt, etwa „giessen“; auch Ihre E-Mail-Adresse.',
    find: 'Suchen',
    list: 'Einrichtungen',
    count: (total: number) => (total === 1 ? 'Eine Einrichtung' : `${total} Einrichtungen`),
    more: (shown: number, total: number) =>
      `Die ersten ${shown} von ${total}. Geben Sie mehr ein, um die Auswahl einzugrenzen.`,
    nothing: (words: string) =>
      `Keine Einrichtung passt zu „${words}“. Prüfen Sie die Schreibweise oder versuchen Sie ein anderes Wort aus dem Namen.`,
    unknown: 'Die Einrichtung, zu der Sie geschickt wurden, ist hier nicht bekannt. Suchen Sie Ihre unten.',
    elsewhere: 'Anders anmelden',
  },
  deviceEntry: {
    title: 'Kommandozeile verbinden',
    lead: 'Geben Sie den Code ein, den Ihr Terminal zeigt.',
    label: 'Code',
    example: 'Acht Buchstaben; der Strich darf fehlen.',
    go: 'Weiter',
    warning:
      'Benutzen Sie nur einen Code, den Sie selbst angefordert haben. Wer Ihnen einen schickt, will in Ihrem Namen handeln.',
    problems: {
      not_found: 'Dieser Code ist nicht bekannt oder wurde schon benutzt. Vergleichen Sie ihn mit Ihrem Terminal.',
      expired: 'Dieser Code ist abgelaufen. Starten Sie den Befehl noch einmal und geben Sie den neuen Code ein.',
      too_many: 'Zu viele Codes haben nicht gepasst. Warten Sie einige Minuten und starten Sie den Befehl dann neu.',
    },
  },
  deviceConfirm: {
    title: 'Ist das Ihre Kommandozeile?',
    lead: 'Vergleichen Sie diesen Code mit dem in Ihrem Terminal.',
    code: 'Code',
    program: 'Programm',
    target: 'Für',
    from: 'Angefragt von',
    at: 'Angefragt',
    warning:
      'Hat Ihnen jemand diesen Code oder einen Link damit geschickt? Dann lehnen Sie ab: Diese Person könnte sonst in Ihrem Namen handeln.',
    decline: 'Nein, ablehnen',
    confirm: 'Ja, das bin ich',
  },
  deviceDone: {
    title: 'Ihre Kommandozeile ist verbunden',
    lead: (client) => `${client} macht in wenigen Sekunden von selbst weiter.`,
    client: 'Ihr Programm',
    close: 'Sie können dieses Fenster schließen.',
  },
  deviceDeclined: {
    title: 'Abgelehnt',
    lead: (client) => `${client} hat keinen Zugang bekommen.`,
    client: 'Das Programm',
    advice:
      'Hat Ihnen jemand den Code geschickt, dann sagen Sie es den Betreibern Ihrer Cloud. War es ein Versehen, starten Sie den Befehl noch einmal.',
  },
  signedOut: {
    title: 'Sie sind abgemeldet',
    lead: (cloud) => `Ihre Sitzung bei ${cloud} ist beendet.`,
    advice:
      'Bei Ihrer Organisation können Sie noch angemeldet sein. An einem gemeinsam genutzten Rechner melden Sie sich auch dort ab und schließen Sie den Browser.',
    again: 'Wieder anmelden',
  },
  stillSignedIn: {
    title: 'Sie sind weiter angemeldet',
    lead: (cloud) => `Nichts wurde beendet: Ihre Sitzung bei ${cloud} läuft weiter.`,
    close: 'Sie können dieses Fenster schließen.',
  },
  logoutConfirm: {
    title: 'Abmelden?',
    lead: (cloud) => `Das beendet Ihre Sitzung bei ${cloud} und bei den Diensten, die Sie darüber erreicht haben.`,
    asked: (client) => `${client} bittet darum.`,
    yes: 'Abmelden',
    no: 'Angemeldet bleiben',
  },
  otherPerson: {
    title: 'Mit diesem Konto weiter?',
    lead: (client) => `Sie möchten sich bei ${client} anmelden. In diesem Browser ist schon jemand angemeldet:`,
    stay: 'Damit weiter',
    change: 'Anderes Konto',
  },
  away: {
    title: (label: string) => `Abmelden bei ${label}`,
    lead: (brand: string, label: string) =>
      `Bei ${brand} sind Sie abgemeldet. Jetzt ist ${label} an der Reihe, damit niemand darüber wieder hineinkommt.`,
    go: 'Weiter',
  },
  postForm: {
    title: (label) => `Weiter zu ${label}`,
    lead: (label) => `Sie werden zu ${label} geschickt. Wenn nichts geschieht, drücken Sie den Knopf.`,
    go: 'Weiter',
  },
  wallet: {
    title: (label) => `Mit ${label} anmelden`,
    lead: (client) => `${client} möchte wissen, wer Sie sind. Ihre Wallet fragt Sie, bevor sie das hier zeigt:`,
    by: 'Gefragt von',
    for: 'Für',
    until: 'Bis',
    open: 'Wallet auf diesem Gerät öffnen',
    browser: 'Wallet in diesem Browser wählen',
    browserFailed: 'Keine Wallet hat geantwortet. Beginnen Sie neu, um es noch einmal zu versuchen.',
    elsewhere: 'Ist Ihre Wallet auf einem anderen Gerät?',
    scan: 'Scannen Sie diesen Code mit Ihrer Wallet. Diese Seite geht danach von selbst weiter.',
    code: 'QR-Code für eine Wallet auf einem anderen Gerät',
    warning:
      'Scannen Sie den Code unten nur, wenn Sie diese Seite gerade selbst geöffnet haben. Hat Ihnen jemand den Code geschickt oder anderswo gezeigt? Dann nicht: Diese Person wäre sonst in Ihrem Namen angemeldet.',
    waiting: 'Warten auf Ihre Wallet. Vergleichen Sie den Namen, den sie zeigt, mit dem oben.',
    retry: 'Neu beginnen',
  },
  walletOver: {
    title: 'Hier wartet niemand mehr auf eine Wallet',
    lead: 'Sie haben in einem anderen Fenster weitergemacht, oder es hat länger gedauert, als eine Anfrage warten darf.',
    close: 'Sind Sie anderswo schon angemeldet, dann schließen Sie dieses Fenster.',
    retry: 'Neu beginnen',
  },
  error: {
    todo: 'Was Sie tun können',
    retry: 'Noch einmal versuchen',
    again:
      'Warten Sie einen Augenblick: Diese Seite versucht es von selbst noch einmal. Wer schon angemeldet ist, kann weiterarbeiten.',
    facts: {
      organisation: 'Organisation',
      client: 'Programm',
      target: 'Für',
      acr: 'Nötiges Vertrauensniveau',
      claim: 'Angabe',
    },
  },
  refused: {
    titles: {
      nothing_granted: 'Sie sind angemeldet, aber hier ist nichts für Sie freigegeben',
      forbidden: 'Sie sind angemeldet, aber eine Regel verwehrt Ihnen hier den Zutritt',
    },
    lead: (organisation) => `${organisation} hat bestätigt, wer Sie sind.`,
    reasons: {
      nothing_granted: (client) => `Keine Regel des Betreibers gewährt diesem Konto Zugriff auf ${client}.`,
      forbidden: (client) => `Eine Regel des Betreibers verwehrt diesem Konto den Zugriff auf ${client}.`,
    },
    client: 'diesen Dienst',
    said: 'Was Ihre Organisation über Sie gesagt hat',
    nothingSaid: 'Nichts außer Ihrem Konto',
    empty: 'leer',
    get: 'Was Sie bekommen',
    nothing: 'Kein Projekt, keine Rolle, keine Gruppe',
    elsewhere: 'Anderswo:',
    words: 'In den Worten des Betreibers',
    acr: (acr) => `Eine stärkere Anmeldung (${acr}) würde Ihnen mehr geben.`,
    todo: 'Zeigen Sie diese Seite Ihrer Administration oder schicken Sie die Referenz. Damit ist zu sehen, welche Regeln geprüft wurden.',
    retry: 'Anderes Konto benutzen',
    grants: {
      project: 'Projekt',
      domain: 'Domain',
      namespace: 'Namespace',
      cluster: 'ganzer Cluster',
      group: 'Gruppe',
    },
  },
  ago: { now: 'gerade eben' },
  errors: errorsDe,
}
