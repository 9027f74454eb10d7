import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;

/**
 * Verdicts SEED COUNT - what Apache's own evaluator says of expressions over properties, a line each:
 *
 *   VERDICT tab EXPRESSION tab PROPERTIES        T, F, N (null), E (an exception while evaluating), R (refused when compiled)
 *
 * Both texts are UTF-8 with %XX for a byte that is no visible ASCII; properties as in a record. First the list written by hand, then COUNT
 * pairs that follow from SEED. COUNT 0: the list alone; a file after it: lines "EXPRESSION tab PROPERTIES" written so are asked about instead.
 */
public final class Verdicts {
    static Random random;

    static String verdict(String expression, String properties) {
        Expression e;
        try {
            e = FilterFactory.INSTANCE.get("SQL92").compile(expression);
        } catch (Throwable t) {
            return "R";
        }
        Map<String, String> map = MessageDecoder.string2messageProperties(properties);
        try {
            Object v = e.evaluate(new EvaluationContext() {
                public Object get(String name) { return map.get(name); }
                public Map<String, Object> keyValues() { return new HashMap<>(map); }
            });
            return v == null ? "N" : Boolean.TRUE.equals(v) ? "T" : Boolean.FALSE.equals(v) ? "F" : "E";
        } catch (Throwable t) {
            return "E";
        }
    }
    static String escaped(String s) {
        StringBuilder b = new StringBuilder();
        for (byte x : s.getBytes(StandardCharsets.UTF_8)) {
            if (x > 0x20 && x < 0x7f && x != '%') b.append((char) x);
            else b.append(String.format("%%%02X", x & 0xff));
        }
        return b.toString();
    }
    static String unescaped(String s) {
        byte[] out = new byte[s.length()];
        int n = 0;
        for (int i = 0; i < s.length(); i++) {
            if (s.charAt(i) != '%') { out[n++] = (byte) s.charAt(i); continue; }
            out[n++] = (byte) Integer.parseInt(s.substring(i + 1, i + 3), 16);
            i += 2;
        }
        return new String(out, 0, n, StandardCharsets.UTF_8);
    }
    static StringBuilder lines = new StringBuilder();
    static void tell(String expression, String properties) {
        lines.append(verdict(expression, properties)).append('\t').append(escaped(expression)).append('\t').append(escaped(properties)).append('\n');
    }

    // ---- at random: half of it follows the grammar and the types, the rest bends one of them
    static <T> T one(List<T> of) { return of.get(random.nextInt(of.size())); }
    static boolean rarely() { return random.nextInt(12) == 0; }
    static final List<String> NAMES = List.of("a", "b", "c", "price", "colour", "flag", "TAGS", "KEYS", "_x", "$y", "none", "A1", "contains");
    static final List<String> TEXTS = List.of("red", "green", "", "it''s", "5", "-5", "5.5", "1e3", " 7 ", "true", "FALSE", "abc", "é", "x''''y", "NaN", "10", "a,b", "(", "--", "/*");
    static final List<String> INTEGERS = List.of("0", "1", "5", "6", "10", "42", "100", "2147483647", "2147483648", "9223372036854775807", "5L", "7l", "1000000");
    static final List<String> FLOATS = List.of("5.5", "0.1", "5.", ".5", "1e3", "1.5E-3", "100.0", "00.5", "9.99e10", "4.9E-324", "1e308");
    static final List<String> VALUES = List.of("5", "6", "-5", "+5", "0", "10", "42", "5.5", "5.0", "-0.0", "0.0", "1e3", "red", "green", "it's", "abc", "true", "True", "FALSE", "false",
        "2147483647", "2147483648", "-2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "NaN", "Infinity", "-Infinity", " 7 ", "7 ", "5f", "5.5d", "5L",
        "0x10", "0x1.8p1", "0X.8P-2d", "1e400", "1e-400", "٣", "１２", "5٣", "é", "x''y", "a,b", "--", "-", "+", ".", "5e", "1_000", "007", "100", "1e1000000000000", "\t9\n");
    static String string() { return "'" + one(TEXTS) + "'"; }
    static String constant() {
        switch (random.nextInt(rarely() ? 6 : 4)) {
            case 0: case 1: return one(INTEGERS);
            case 2: return one(FLOATS);
            case 3: return string();
            case 4: return one(List.of("TRUE", "false", "NULL", "null"));
            default: return one(List.of("0.0", "1e400", "9223372036854775808", "0L", "08", "'open", "#", "1e"));
        }
    }
    static String number() { return (rarely() ? "-" : rarely() ? "+" : "") + (random.nextInt(3) == 0 ? one(FLOATS) : one(INTEGERS)); }
    static String value(int deep) {
        int r = random.nextInt(20);
        if (r < 9) return one(NAMES);
        if (r < 12) return number();
        if (r < 14) return string();
        if (r < 16) return constant();
        if (r == 16) return "-" + value(deep);
        if (r == 17) return "+" + value(deep);
        if (r == 18) return "(" + value(deep) + ")";
        return deep > 0 ? "(" + condition(deep - 1) + ")" : one(NAMES);
    }
    static String sp() { return random.nextInt(10) == 0 ? one(List.of("", "  ", "\n", "\t", " /* c */ ", "/**/", " -- c\n", "\f\r")) : " "; }
    static String word(String w) { return rarely() ? w.toLowerCase() : rarely() ? w.charAt(0) + w.substring(1).toLowerCase() : w; }
    static String list() {
        StringBuilder b = new StringBuilder("(" + string());
        for (int n = random.nextInt(7); n > 0; n--) b.append("," + sp()).append(rarely() && rarely() ? number() : string());
        return b + ")";
    }
    static String condition(int deep) {
        switch (random.nextInt(deep > 0 ? 14 : 8)) {
            case 0: return (rarely() ? value(deep) : one(NAMES)) + sp() + one(List.of(">", "<", ">=", "<=")) + sp() + (rarely() ? value(deep) : number());
            case 1: return value(deep) + sp() + one(List.of("=", "<>")) + sp() + value(deep);
            case 2: return one(NAMES) + sp() + one(List.of("=", "<>")) + sp() + string();
            case 3: return (rarely() ? value(deep) : one(NAMES)) + sp() + (random.nextBoolean() ? word("NOT") + " " : "") + word("BETWEEN") + " " + (rarely() ? value(deep) : number()) + " " + word("AND") + " " + (rarely() ? value(deep) : number());
            case 4: return (rarely() ? value(deep) : one(NAMES)) + " " + (random.nextBoolean() ? word("NOT") + " " : "") + word("IN") + sp() + list();
            case 5: return value(deep) + " " + word("IS") + " " + (random.nextBoolean() ? word("NOT") + " " : "") + word("NULL");
            case 6: return value(deep) + sp() + one(List.of(">", "<", ">=", "<=", "=", "<>")) + sp() + value(deep);
            case 7: return rarely() ? value(deep) : one(NAMES) + " = " + one(NAMES);
            case 8: case 9: return condition(deep - 1) + " " + word("AND") + " " + condition(deep - 1);
            case 10: case 11: return condition(deep - 1) + " " + word("OR") + " " + condition(deep - 1);
            case 12: return word("NOT") + " (" + condition(deep - 1) + ")";
            default: return "(" + condition(deep - 1) + ")" + (rarely() ? " = " + value(deep - 1) : "");
        }
    }
    static String expression() {
        String e = condition(random.nextInt(5));
        switch (random.nextInt(40)) {
            case 0: return e + " " + one(NAMES) + " " + e;                                // text behind its end
            case 1: return e.substring(0, random.nextInt(e.length() + 1));                 // cut
            case 2: int i = random.nextInt(e.length() + 1); return e.substring(0, i) + one(List.of("(", ")", "'", "=", " NOT ", ",", "%", "5", " AND ", "-")) + e.substring(i);
            default: return e;
        }
    }
    static String properties() {
        StringBuilder b = new StringBuilder();
        for (int n = random.nextInt(8); n > 0; n--) b.append(one(NAMES)).append('\u0001').append(one(VALUES)).append('\u0002');
        if (rarely() && b.length() > 0) b.setLength(b.length() - 1);
        return b.toString();
    }

    // ---- by hand: the rules that are easy to get wrong
    static final String SOME = "a\u00016\u0002b\u0001x\u0002flag\u0001true\u0002price\u00015.5\u0002n\u0001-3\u0002big\u00019223372036854775807\u0002word\u0001red\u0002quote\u0001it's\u0002wide\u0001２\u0002";
    static final String[] LIST = {
        "a > 5 AND b = 'x'", "a > 6", "a >= 6", "a<7", "a<=5", "a<>6", "a = 6", "a = '6'", "'6' = a", "6 = a", "6 > 5", "5 > 6", "a = 6.0", "a > 5.9", "price > 5", "price > 5.0", "5.0 < price",
        "price = 5.5", "price = '5.50'", "price > a", "a > price", "a > b", "b > a", "b > 5", "5 < b", "b = 5", "missing > 5", "5 > missing", "missing > b", "b > missing", "missing = missing",
        "missing <> missing", "missing = 5", "5 = missing", "missing = b", "b = missing", "b <> missing", "missing <> b", "missing = other", "missing IS NULL", "missing IS NOT NULL", "a IS NULL", "a is not null",
        "5 IS NULL", "NULL IS NULL", "NULL IS NOT NULL", "'x' IS NULL", "NULL = NULL", "a = NULL", "NULL = a", "a <> NULL", "a > NULL", "NULL", "TRUE", "FALSE", "true", "False", "NOT TRUE", "NOT NULL", "NOT FALSE",
        "a", "b", "flag", "missing", "NOT a", "NOT missing", "NOT flag", "flag = TRUE", "flag = FALSE", "flag = 'true'", "TRUE = flag", "a = TRUE", "TRUE = a", "TRUE = TRUE", "TRUE = FALSE", "TRUE = 5", "5 = TRUE",
        "TRUE = 'x'", "'true' = TRUE", "'x' = TRUE", "'x' = 'x'", "'x' <> 'x'", "'x' > 'a'", "5 = '5'", "5 = 'x'", "'x' = 5", "TRUE > FALSE", "flag > TRUE",
        "a BETWEEN 5 AND 7", "a BETWEEN 6 AND 6", "a BETWEEN 7 AND 5", "a NOT BETWEEN 7 AND 5", "a NOT BETWEEN 5 AND 7", "a BETWEEN -1 AND -5", "a BETWEEN 5 AND 'x'", "a BETWEEN 'a' AND 'b'", "a BETWEEN NULL AND 5",
        "a BETWEEN b AND 7", "a BETWEEN 5 AND b", "a BETWEEN 7 AND b", "b BETWEEN 1 AND 2", "missing BETWEEN 1 AND 2", "missing NOT BETWEEN 1 AND 2", "a BETWEEN missing AND 7", "a BETWEEN 7 AND missing", "a NOT BETWEEN missing AND 5",
        "5 BETWEEN 1 AND 10", "'x' BETWEEN 1 AND 2", "TRUE BETWEEN 1 AND 2", "a BETWEEN 5L AND 7.5", "a BETWEEN 9223372036854775807 AND 9.3e18", "a BETWEEN 1 AND 5 AND b = 'x'", "a BETWEEN 5 AND 7 AND b = 'x'",
        "b IN ('x')", "b IN ('a','x','c')", "b IN ('a')", "b NOT IN ('a')", "b NOT IN ('x')", "missing IN ('x')", "missing NOT IN ('x')", "NULL NOT IN ('x')", "NULL IN ('x')", "'x' IN ('x')", "5 IN ('5')", "a IN (6)", "a IN ('6')",
        "a IN ()", "a IN 'x'", "a IN ('x'", "a IN ('x',)", "(b) IN ('x')", "+b IN ('x')", "-b IN ('x')", "b IN ('a','b','c','d','e','x')", "b NOT IN ('a','b','c','d','e','f')", "b IN ('')", "quote IN ('it''s')",
        "NOT (a > 5)", "NOT a > 5", "NOT a = 6", "NOT missing = 6", "NOT (missing > 5)", "NOT (b > 5)", "NOT NOT (a > 5)", "NOT 5", "NOT 'x'", "NOT -a",
        "missing > 5 AND FALSE", "missing > 5 OR TRUE", "missing > 5 AND TRUE", "missing > 5 OR FALSE", "FALSE AND b > 5", "TRUE OR b > 5", "TRUE AND b > 5", "FALSE OR b > 5", "missing > 5 AND b > 5", "missing > 5 OR b > 5",
        "b > 5 AND FALSE", "b > 5 OR TRUE", "a > 5 OR b > 5", "a > 9 OR b > 5", "a > 9 AND b > 5", "5 AND TRUE", "TRUE AND 5", "'x' OR TRUE", "a AND b", "a OR b", "a OR TRUE", "missing AND a", "missing OR a",
        "-a > 5", "-a < 5", "-a = -6", "-a IS NULL", "- 5 < a", "-5 < n", "n < -2", "n = -3", "n = - 3", "n > -2147483648", "n > -2147483649", "n > -9223372036854775807", "n > -9223372036854775808", "--5 < a", "- -5 < a", "+a > 5", "++a > 5", "+ + 5 < a",
        "-'x' IS NULL", "-TRUE IS NULL", "-NULL IS NULL", "-(a > 5) IS NULL", "-(b > 5) IS NULL", "a > -(b > 5)", "missing > -(b > 5)", "+'x' = b", "+TRUE", "+(a > 5)",
        "a = b = FALSE", "a = 6 = TRUE", "(a > 5) = (b = 'x')", "(a > 5) = b", "b = (a > 5)", "(a > 5) = 5", "5 = (a > 5)", "(a > 5) > 3", "a > 5 > 3", "a > 5 = TRUE", "a = 5 > 3", "(a = 6) IS NULL", "(missing = 6) IS NULL", "(a = 6) IS NOT NULL", "a IS NULL IS NULL",
        "a = 6 garbage", "a = 6 b = 'y'", "a LIKE 'x%'", "b LIKE 'x%'", "NOT b LIKE 'x%'", "a = 6 'x'", "a = 6 )", "a = 6 5", "a = 6 #", "a = 6 'open", "a = 6 NOT", "a = 6 NOT 5", "a = 6 IS", "a = 6 IS 5", "a = 6 IN", "a = 6 x #", "a = 6 x 'open", "a = 6,", "a = 6;", "a = 6 /", "a = 6 --", "a = 6 -- c", "a = 6 -- c\n", "a = 6 /* c */", "a = 6 /* c",
        "", " ", "-- c\n", "/* c */", "(", ")", "()", "(a = 6", "a = 6)", "((((a = 6))))", "a >", "a > 5 AND", "AND a > 5", "1 =", "= 1", "a > > 5", "a => 5", "a == 6", "a != 6", "a & b", "a + 5 > 3", "a - 5 > 0", "a * 5 > 3", "a[0] = 6", "a.b = 6", "\"a\" = 6",
        "a = 06", "a = 00", "a = 0", "a > 0L", "a = 6L", "a = 6l", "a = 6LL", "a = 6.0f", "a > 5.", "a > .5", "a > 5e0", "a > 5E0", "a > 5e", "a > 5.e0", "a > .", "a > 0.0", "a > 0.", "a > 1e400", "a > 1e-400", "a > 4.9E-324", "a > 2e-324", "a > 1.7976931348623157e308", "a < 1.7976931348623159e308",
        "a < 2147483647", "a < 2147483648", "a < 9223372036854775807", "a < 9223372036854775808", "a < 99999999999999999999", "big > 5", "big > 5L", "big > 2147483648", "big = 9223372036854775807", "big = 9.223372036854775807e18", "big > 9.2e18",
        "wide = 2", "wide > 1", "wide > 1.5", "word = 'red'", "word = 'Red'", "word='red'AND a>5", "a>5AND b='x'", "a>5ANDb='x'", "a>5 and b='x' OR not TRUE", "A > 5", "Word = 'red'", "TAGS = 'x'", "_ IS NULL", "$ IS NULL", "$a_1 IS NULL", "1a IS NULL", "é = 'x'", "b = 'é'",
        "quote = 'it''s'", "quote = 'its'", "b = 'x''", "b = 'x''y", "b = ''", "'' = b", "'' = ''", "b = ''''", "'a''b' = 'a''b'",
        "a/**/>/**/5", "a /*/ */ > 5", "a /***/ > 5", "a /* * / */ > 5", "a -- c\r> 5", "a --c\r\n> 5", "a\u00a0> 5", "a\u000b> 5", "a\u0000> 5", "not(a>9)", "NOT(NULL)", "between > 5", "nothing IS NULL", "intrue IS NULL", "order IS NULL",
        "contains = 5", "contains IS NULL", "startswith > 5", "a contains", "b CONTAINS b", "b NOT CONTAINS", "a NOT 'x'",
    };
    static final String[] READ_AS_INTEGER = {"5", "+5", "-5", " 5", "5 ", "", "5.0", "0x5", "5L", "--5", "+", "-", "2147483647", "2147483648", "-2147483648", "-2147483649", "００５", "٥", "५", "๕", "꩕", "5٥", "Ⅴ", "𝟓", "005", "+05", "5\u0000", "1e1"};
    static final String[] READ_AS_DOUBLE = {"5", " 5.5 ", "\t5\n", "\u00a05", "5.5f", "5.5F", "5d", "5D", "5.5fd", "5L", ".5", "5.", ".", "-.5", "+.5e1", "5e", "5e+", "5e-", "5e5", "5E+05", "e5", "NaN", "-NaN", "+NaN", "nan", "NaNd", "Infinity", "-Infinity", "+Infinity", "Infinityf", "inf", "INFINITY",
        "0x1p3", "0x1.8p1", "0x.8p1", "0x8.p1", "0x1", "0xp1", "0x.p1", "0x1p", "0x1p+2", "0x1p-2f", "0x1p1d", "-0x1p3", "0X1P3", "0x1.fffffffffffff8p0", "1e400", "-1e400", "1e-400", "4.9e-324", "2.4e-324", "1.7976931348623157e308", "1.7976931348623159e308", "1_0", "٥", "1,5", "1 5", "--5", "5-", "9007199254740993", "9007199254740992.9999999999", "0.1", "1e99999999999999999999", "1e-99999999999999999999", "0e99999999999999999999",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880", "5.0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"};

    static void byHand() {
        for (String e : LIST) { tell(e, SOME); tell(e, ""); }
        for (String v : READ_AS_INTEGER) for (String e : new String[]{"v = 5", "v > 4", "5 >= v", "v < 2147483648", "v > -9223372036854775807"}) tell(e, "v\u0001" + v + "\u0002");
        for (String v : READ_AS_DOUBLE) for (String e : new String[]{"v = 5.5", "v > 4.5", "v < w", "v >= w", "w <= v", "5.0 = v", "v > 9007199254740992.0"}) tell(e, "v\u0001" + v + "\u0002w\u00015.0\u0002");
        for (String v : new String[]{"true", "TRUE", "tRuE", "false", "yes", "1", " true"}) for (String e : new String[]{"v = TRUE", "v = FALSE", "v <> TRUE", "TRUE <> v"}) tell(e, "v\u0001" + v + "\u0002");
        for (String p : new String[]{"a\u00011\u0002a\u00016\u0002", "a\u00016", "a\u00016\u0002\u0002", "\u00016\u0002a\u00016", "a\u0001\u0002", "a\u00016\u00017\u0002", "a6\u0002", "a\u00016\u0002b\u0001", "x\u0001\u0002a\u00016\u0002"}) for (String e : new String[]{"a = 6", "a > 5", "a IS NULL", "a = '6\u00017'"}) tell(e, p);
    }

    public static void main(String[] args) throws Exception {
        random = new Random(Long.parseLong(args[0]));
        if (args.length > 2) {
            for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of(args[2]))) tell(unescaped(line.split("\t", -1)[0]), unescaped(line.split("\t", -1)[1]));
        } else {
            byHand();
            for (int n = Integer.parseInt(args[1]); n > 0; n--) tell(expression(), properties());
        }
        System.out.print(lines);
        System.out.flush();
        System.exit(0);
    }
}
