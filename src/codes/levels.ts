import { bytesOf } from "../wasm/text.js";

/**
 * The positive levels of EDEN's quantizers of 1 to 8 bits, one after the other (1 + 2 + 4 … floats): what minimises the squared error
 * of a normal variable (Lloyd, 1982; Max, 1960). A file holds numbers of levels, not the levels: they must be faiss' own, which from 5
 * bits on are not quite the best ones (by .00001 to .5, the tails of 8 bits).
 */
const LEVELS =
  "Oisf~&~/~De|*| }Vf~U~V|Ge}%|Vhf^*}Af|G}N.g |F(ek}C~!e|+FMf_d|>fT~)}5fJA~,f~#|7)g}T~?SgH~N|Sd5~+qe|/}?}>eW~P~Ke~C~9?ffkffQ'|2f|Me|Sf|+A}0f}!|@}Ff~&}V~&f!}X~Af};~3&g~(| 9gdbQg}R}Dwg|(~5-d}3|+~*d~*vPe^W|=e~P}M}/e}-}*}Re~C}R~=e~&E'f}G=9f}SvKf~%~,^f}?}8rf|>~4|+f}5|E|?fjr|Pf| }6} f}?o}-fIt}8f~4}Q}Cf}E}=}Of|(J~#f|Ns~1f}=e~?f!J~Nf|+}2%g_|2.g|,G8g}FNCg|!+Pg|X}Kag~Y|/vg~1}3|<gR~8|Vc|2~,ud},|/}AdX|;~Nd}7o@er~Fde|S}1|-e~E}G|Ne|*I}(e|?}9}9e#Y}Ke~J~4~#eU}#~6e~%|)~He~'i e}D}6,f|,}E5f}3~+>f}8 Gf}FeQfA}(Zfq~Yef}I|Hof~B7yf|O}X|(fp}#|2f:|E|<f~=|L|Ff|0~1|Nf|S~W|Sf}'X|Yf~3|M}&f}T~@}+f~5|*}1f~,~M}6f|F}3}<f~5|5}BfHy}Hf~'|)}Nf|Q|X}Tfy~>~ f}(|.~)f:5~0fF~N~6f},.~>f4|,~Ef~Y~T~Lf~6~8~Tf}M.%g}){)g}M~1-g}B}&2g}L})7g|2~F<g|@}3Bg/~#Hg~)|IOgW~@Vg|6Rag|;}>jg|0~4ug~A}6|)g~C,|<g}%5|SgM}L};b}::|Gc^|9~-c|@~G6d~C}8bd~J|0|2d(}+|Td~4|K}1d]|:}Fd~C|.~!d}B|*~8d| |.~Md~4}K'e~ h2e~<~.<e}*|4Ge|!(Re}+}:]e~(uie|=#se&}M|#e%|F|/e~Pi|:e|0;|Ee~M|F|Ne!~J|Se}=|4|Yee~D}&e7|:},e|G~V}1e~+|Y}7e|8L}=e}F~&}Be*|A}He~+K}Ne|F~?}Se|D}<}Yef|C~'erv~-eAX~3e^G~9ePB~?e|RI~Ee~<^~Ke~4|'~Qe8|X~WeD|2%f|T|Y(fB}Q+fl~Q.f|/Z2f~<|L5fO~18f}KW<f~V}0?f|>5Cf}1}%Ff'BJfR}KMf}D|)QfA6Uf5~1XfS};]fA|Ubf|U|GffJ|Kjf}D}(nf~C}Prf}'~Tvf|Pn{f}#}A|%f})L|*f|F}N|.fQ|0|3f}:J|8f~@&|=f~N~U|Af~>0|Gf~/b|Lf~Sk|Of}H~X|Qf}V}W|Tf~!}/|Wf|>|Q} f|G|M}%f}4}#}(f}<}G}+f|3~G}.f}M]}2f|S}0}5f~!;}9f|J}?}<f}V|#}@f}LD}Df}0(}Hf}T)}Lf}!I}Pf}%|1}Tf|:~!}Xf~Pr~%f>~T~)f,~'~.fC~#~3f#~M~8f})q~>fG~4~Cf{}/~Ifw}-~Of~+~2~UfZ|%#f~>7(g~9}7+gt|-/gfw3g}T|E7gH~>;g|@}'@g~U},Eg=%Kg})~:Pg}!pWg~0|3_g}<|4hg}Q}-qgO|E| g,~J|/g.~L|Ag|;}U|Ug";

/** The levels of a quantizer of so many bits, ascending. */
export function levelsOf(bits: number): Float32Array<ArrayBuffer> {
  const half = 2 ** (bits - 1);
  const positive = new Float32Array(bytesOf(LEVELS).buffer).subarray(half - 1, 2 * half - 1);
  const levels = new Float32Array(2 * half);
  positive.forEach((level, i) => {
    levels[half + i] = level;
    levels[half - 1 - i] = -level;
  });
  return levels;
}
