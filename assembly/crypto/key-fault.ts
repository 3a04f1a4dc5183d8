/** Why a key cannot be used; for people, without anything of the key. Whoever loads a key hands one in. */
export class KeyFault {
  reason: string = "";
}
