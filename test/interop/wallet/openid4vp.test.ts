import { haip } from './haip.ts'

/* The libraries of openid4vc-ts, dcql and sd-jwt-js as the wallet: they know nothing of the gateway. */

haip('openid4vp')
