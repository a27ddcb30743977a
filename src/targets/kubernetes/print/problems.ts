import type { PrintWorld } from '../../target.ts'
import type { KubernetesConfig } from '../target.ts'
import { type Setting, settingOf } from './setting.ts'

/** What the configuration of the gateway lacks for this cluster, each with what to write; empty where the files can be printed. */
export function printProblems(config: KubernetesConfig, world: PrintWorld): readonly string[] {
  const setting = settingOf(config, world)
  return [...issuerProblems(setting), ...clientProblems(setting)]
}

function issuerProblems({ issuer }: Setting): readonly string[] {
  if (issuer.startsWith('https:')) return []
  return [`the issuer ${issuer} is not https, and a kube-apiserver takes no other; write issuer: https://…`]
}

function clientProblems({
  flavour,
  audience,
  config,
  idClient,
  accessClients,
  scopeClients,
}: Setting): readonly string[] {
  if (flavour === 'id-token' && idClient === undefined && scopeClients.length === 0)
    return [
      `no client may have ID tokens for it; write in clients: - { id: ${audience}, target: ${config.id}, … }, called as the ` +
        `audience is, or put ${config.id} into the targets of one that asks by scope`,
    ]
  if (idClient !== undefined || accessClients.length + scopeClients.length > 0) return []
  return [
    `no client may have tokens for it; write in clients: - { id: kubectl, native: true, target: ${config.id}, ` +
      'redirectUris: [http://localhost:8000], grants: [code, device, refresh], alwaysRefresh: true }',
  ]
}
