/** Notes as somebody might keep them, and questions that share few words with them. */

export const NOTES: readonly string[] = [
  "The boiler shows error 28 when the gas is turned off at the meter.",
  "Passport runs out in May; photos have to be younger than six months.",
  "Bake the bread for 40 minutes at 230 degrees, the last ten without a lid.",
  "The neighbours feed the cat while we are in Portugal.",
  "Tyres: 2.3 bar in front, 2.5 behind, more with the roof box.",
  "The dentist wants to see the upper left molar again in autumn.",
  "Router password is on the sticker below, the guests' one is on the fridge.",
  "Tomatoes need water in the morning and no rain on their leaves.",
  "The train to the airport leaves every half hour from platform nine.",
  "Invoices from the joiner belong into the tax folder.",
  "Lena is allergic to hazelnuts, also in chocolate.",
  "The spare key hangs behind the third pot in the shed.",
];

export const QUESTIONS: readonly string[] = ["how do visitors get on the internet?", "I locked myself out"];
