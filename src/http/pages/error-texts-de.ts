import type { ErrorCode } from '../../core/errors.ts'
import type { ErrorText } from './error-texts-en.ts'

/** The error texts in German. */
export const errorsDe: Readonly<Record<ErrorCode, ErrorText>> = {
  upstream_rejected: {
    title: 'Ihre Organisation hat Sie nicht bestätigt',
    what: 'Ihre Organisation hat die Anmeldung abgelehnt, oder ihre Antwort hat unsere Prüfungen nicht bestanden.',
    todo: 'Versuchen Sie es noch einmal. Bleibt es dabei, wenden Sie sich an den IT-Support Ihrer Organisation und nennen Sie die Referenz.',
  },
  upstream_unavailable: {
    title: 'Ihre Organisation ist nicht erreichbar',
    what: 'Der Anmeldedienst Ihrer Organisation antwortet nicht oder nur mit einem eigenen Fehler.',
    todo: 'Versuchen Sie es in einigen Minuten noch einmal. Bleibt es dabei, wenden Sie sich an den IT-Support Ihrer Organisation.',
  },
  upstream_declined: {
    title: 'Die Anmeldung wurde abgebrochen',
    what: 'Die Anmeldung bei Ihrer Organisation wurde abgelehnt oder vor dem Ende verlassen.',
    todo: 'War das nicht gewollt, versuchen Sie es noch einmal.',
  },
  credential_revoked: {
    title: 'Ihr Nachweis gilt nicht mehr',
    what: 'Wer den Nachweis in Ihrer Wallet ausgestellt hat, hat ihn widerrufen oder ausgesetzt.',
    todo: 'Bitten Sie die Organisation, die ihn ausgestellt hat, um einen neuen, oder benutzen Sie einen anderen Nachweis.',
  },
  acr_not_met: {
    title: 'Eine stärkere Anmeldung ist nötig',
    what: 'Ihre Organisation hat Sie bestätigt, aber nicht so sicher wie hier nötig, zum Beispiel ohne zweiten Faktor.',
    todo: 'Versuchen Sie es noch einmal mit einem zweiten Faktor. Werden Sie nicht danach gefragt, hilft der IT-Support Ihrer Organisation.',
  },
  nothing_granted: {
    title: 'Hier ist nichts für Sie freigegeben',
    what: 'Sie sind angemeldet, aber keine Regel des Betreibers gewährt Ihrem Konto hier Zugriff.',
    todo: 'Schicken Sie die Referenz an Ihre Administration, oder benutzen Sie ein anderes Konto.',
  },
  forbidden: {
    title: 'Sie haben hier keinen Zutritt',
    what: 'Sie sind angemeldet, aber eine Regel des Betreibers verwehrt Ihrem Konto hier den Zugriff.',
    todo: 'Wenn Sie das für falsch halten, schicken Sie die Referenz an Ihre Administration.',
  },
  claims_unusable: {
    title: 'Ihre Organisation hat zu wenig oder zu viel über Sie gesagt',
    what: 'Was Ihre Organisation über Sie sagt, lässt sich nicht verwenden: Nötiges fehlt, oder es ist zu lang.',
    todo: 'Schicken Sie die Referenz an Ihre Administration; nur der Betreiber und Ihre Organisation können das beheben.',
  },
  grants_too_large: {
    title: 'Sie haben mehr Berechtigungen, als in eine Anmeldung passen',
    what: 'Ihre Projekte, Rollen und Gruppen passen nicht in das, was dieser Dienst lesen kann.',
    todo: 'Schicken Sie die Referenz an Ihre Administration; weniger Gruppen oder andere Regeln helfen.',
  },
  login_expired: {
    title: 'Diese Anmeldung ist vorbei',
    what: 'Sie hat zu lange gedauert, war schon abgeschlossen oder gehört zu einer Seite, die Sie früher offen hatten.',
    todo: 'Beginnen Sie neu auf der Seite oder in dem Programm, das Sie benutzen möchten.',
  },
  wrong_browser: {
    title: 'Diese Anmeldung wurde in einem anderen Browser begonnen',
    what: 'Die Antwort Ihrer Organisation kam in einem Browser an, der nicht gefragt hatte. Zu Ihrem Schutz haben wir abgebrochen.',
    todo: 'Beginnen Sie neu und bleiben Sie in einem Browser. Hat Ihnen jemand den Link geschickt, benutzen Sie ihn nicht.',
  },
  unknown_connector: {
    title: 'Diese Organisation ist hier nicht bekannt',
    what: 'Unter diesem Namen ist keine Anmeldung eingerichtet.',
    todo: 'Prüfen Sie den Link, oder wählen Sie Ihre Organisation auf der Anmeldeseite.',
  },
  not_found: {
    title: 'Hier gibt es keine Seite',
    what: 'Die Adresse ist falsch, oder die Seite gibt es nicht mehr.',
    todo: 'Prüfen Sie die Adresse, oder beginnen Sie neu auf der Seite oder in dem Programm, das Sie benutzen möchten.',
  },
  method_not_allowed: {
    title: 'So lässt sich diese Seite nicht aufrufen',
    what: 'Die Adresse gibt es, aber sie nimmt diese Art von Anfrage nicht an.',
    todo: 'Beginnen Sie neu auf der Seite oder in dem Programm, das Sie benutzen möchten.',
  },
  bad_request: {
    title: 'Diese Anfrage ist nicht zu verstehen',
    what: 'Etwas in der Anfrage fehlt oder passt nicht.',
    todo: 'Beginnen Sie neu. Bleibt es dabei, sagen Sie es den Betreibern des Programms, das Sie hergeschickt hat.',
  },
  too_large: {
    title: 'Das ist zu groß',
    what: 'Die Anfrage oder die Antwort Ihrer Organisation ist größer, als wir annehmen.',
    todo: 'Versuchen Sie es noch einmal. Bleibt es dabei, schicken Sie die Referenz an Ihre Administration.',
  },
  too_many_attempts: {
    title: 'Zu viele Versuche',
    what: 'Es gab in kurzer Zeit zu viele Versuche, darum nehmen wir eine Weile keine weiteren an.',
    todo: 'Warten Sie einige Minuten und versuchen Sie es dann noch einmal.',
  },
  unavailable: {
    title: 'Die Anmeldung ist gerade nicht verfügbar',
    what: 'Etwas, das für die Anmeldung nötig ist, ist bei uns gestört.',
    todo: 'Versuchen Sie es in einigen Minuten noch einmal. Wer schon angemeldet ist, kann weiterarbeiten.',
  },
  internal: {
    title: 'Bei uns ist etwas schiefgegangen',
    what: 'Das war unser Fehler, nicht Ihrer.',
    todo: 'Versuchen Sie es noch einmal. Bleibt es dabei, schicken Sie die Referenz an die Betreiber dieses Dienstes.',
  },
}
