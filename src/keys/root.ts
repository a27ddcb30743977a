/** The root secret of an installation: everything that is sealed or derived here rests on it. Never leaves this module. */
export interface Root {
  /** 32 bytes for one purpose; equal in all processes with this root secret. */
  derive(purpose: string): Buffer
  /** AES-256-GCM under a derived key, with `context` as additional data; text, base64url. */
  seal(plaintext: string, context: string): string
  /** @throws where the text was not sealed here, was changed, or was sealed for another context */
  open(sealed: string, context: string): string
}
