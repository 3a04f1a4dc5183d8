/** Why a key cannot be used, as a message that contains nothing of the key. The code that loads a key passes one in. */
export class KeyFault {
  reason: string = "";
}
