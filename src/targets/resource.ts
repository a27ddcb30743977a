/** The identifier of a target as `resource` (RFC 8707), which has to be an absolute URI. */
export const resourceOf = (target: string) => `urn:lotse:target:${target}`
