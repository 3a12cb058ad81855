"""What the first policy does not know, and should say so: near misses (unknown countries, misspelt words, big sums) and free topics."""

from random import Random

from backtalk.starter.domains import Domain

_STARTS = "b c d f g h j k l m n p r s t v w z br cr dr fl gr kl pl qu sh sk sn st th tr vr zh".split()
_MIDDLES = "a e i o u ai ea oo ia ou".split()
_ENDS = "n r l s t k nd rk x m ph lla ria nia dor via stan land mia".split()

# In each list every fifth entry is held out of training, so that "I do not know" is measured on things never seen.
PLACES = """
Narnia|Atlantis|Mordor|Wakanda|Gondor|Texas|Bavaria|Mars|Scotland|the moon|Bolivia|Laos|Malta|Cyprus|Serbia|Estonia|Latvia|
Zambia|Uganda|Tanzania|Somalia|Angola|Namibia|Botswana|Senegal|Mali|Chad|Sudan|Libya|Tunisia|Algeria|Syria|Jordan|Lebanon|Israel|Yemen|Oman|Qatar|
Kuwait|Bangladesh|Sri Lanka|Myanmar|Singapore|the Philippines|Fiji|Samoa|Panama|Honduras|Guatemala|Jamaica|Haiti|Uruguay|Paraguay|
California|Florida|Hogwarts|Africa|Europe|Asia|Wales|Hawaii|Greenland|Albania|Slovakia|Slovenia|Moldova|Georgia|Armenia|Kazakhstan|Tibet|
Sicily|Alaska|Jupiter|Oz|Gotham|Lilliput|Zamunda|Elbonia|Tonga|Togo|Benin|Niger|Rwanda|Malawi|Madagascar|Bhutan|Brunei|Cambodia|North Korea|Taiwan|
Afghanistan|Azerbaijan|Bahrain|Barbados|Belarus|Belize|Bosnia|Burkina Faso|Burundi|Cameroon|the Congo|Costa Rica|El Salvador|Eritrea|Gabon|the Gambia|
Grenada|Guinea|Guyana|Ivory Coast|Kosovo|Kyrgyzstan|Lesotho|Liberia|Liechtenstein|Lithuania|Luxembourg|the Maldives|Mauritania|Mauritius|Monaco|
Montenegro|Mozambique|Nicaragua|Papua New Guinea|San Marino|Sierra Leone|Suriname|Tajikistan|Trinidad|Turkmenistan|Uzbekistan|Vanuatu|the Vatican|
Zimbabwe|Antarctica|Siberia|Quebec|Andalusia|Normandy|Tuscany|Catalonia|Ohio|Utah|Oregon|Nevada|Kansas|Venus|Saturn|Pluto|Westeros|Rivendell|
Eldorado|Camelot|Utopia|Neverland|Wonderland|Sparta|Babylon|Persia|Prussia|Yugoslavia|Manchester|Munich|Barcelona|Shanghai|Osaka|Mumbai|Boston|Chicago
"""
PLACES_ZH = """
纳尼亚|亚特兰蒂斯|火星|月球|玻利维亚|老挝|马耳他|塞尔维亚|爱沙尼亚|赞比亚|乌干达|坦桑尼亚|索马里|安哥拉|苏丹|利比亚|突尼斯|
叙利亚|约旦|黎巴嫩|也门|阿曼|卡塔尔|科威特|孟加拉国|斯里兰卡|缅甸|新加坡|菲律宾|斐济|巴拿马|牙买加|海地|乌拉圭|巴拉圭|德克萨斯|苏格兰|
格鲁吉亚|哈萨克斯坦|柬埔寨|朝鲜|瓦坎达|霍格沃茨|魔多|龙之国|木星|非洲|欧洲|以色列|阿富汗|马达加斯加|津巴布韦|捷克|拉脱维亚|
阿尔巴尼亚|亚美尼亚|阿塞拜疆|巴林|白俄罗斯|不丹|文莱|喀麦隆|刚果|哥斯达黎加|多米尼加|萨尔瓦多|加蓬|冈比亚|危地马拉|几内亚|洪都拉斯|科索沃|
吉尔吉斯斯坦|利比里亚|立陶宛|卢森堡|马拉维|马尔代夫|马里|摩纳哥|黑山|莫桑比克|纳米比亚|尼加拉瓜|尼日尔|卢旺达|塞内加尔|斯洛伐克|斯洛文尼亚|
塔吉克斯坦|多哥|汤加|土库曼斯坦|乌兹别克斯坦|梵蒂冈|四川|广东|台湾|西藏|加利福尼亚|佛罗里达|夏威夷|西伯利亚|南极|金星|土星|桃花源|花果山|上海|大阪|纽约
"""
THINGS = """
table|music|quantum physics|a unicorn|my car|bitcoin|the stock market|a zebra|a submarine|Shakespeare|jazz|chess|a guitar|football|the economy|a laptop|
a sandwich maker|tax law|a black hole|climate change|evolution|blockchain|yoga|karate|a passport|insurance|philosophy|a tractor|opera|ballet|a violin|
machine learning|transformers|a neural network|DNA|a dinosaur|the pyramids|Napoleon|Einstein|Mozart|a carburettor|a mortgage|mathematics|poker|a wizard|
a giraffe|cancer|a saxophone|the Beatles|Harry Potter|a helicopter|nuclear energy|religion|a spaceship|a keyboard|a pencil|wine|beer|sushi|pizza|
Instagram|a bicycle pump|penguins|a hammer|cricket|tennis|my sister|your brother|a window cleaner|electricity|magnets|the weather|politics|a sofa|
a spoon|a chair|thermodynamics|entropy|recursion|inheritance|a pronoun|an adverb|a kangaroo|a whale|a tiger|a butterfly|a lamp|a phone|marketing|
a ladder|a bucket|a candle|a mirror|a pillow|a blanket|a carpet|a curtain|a drawer|a wallet|a necklace|a ring|a crown|a sword|a shield|a castle|a bridge|
a tunnel|a harbour|a lighthouse|a desert|a glacier|a volcano|an earthquake|a hurricane|a comet|a galaxy|an atom|a molecule|gravity|inflation|democracy|
justice|jealousy|friendship|courage|a dentist|a pilot|a plumber|a detective|a pirate|a ghost|a vampire|a dragon|a robot vacuum|a drone|a satellite|a laser|
a microscope|a thermometer|a calculator|a printer|a camera|a microphone|a trumpet|a drum|a flute|a cello|a waltz|a sonnet|a novel|a newspaper|a museum|
a stadium|a pharmacy|a bakery|a zebra crossing|a penguin|an octopus|a jellyfish|a crocodile|a hedgehog|a squirrel|an owl|an eagle|a pigeon|a mosquito|
a beetle|a mushroom|a cactus|a tulip|an oak|bamboo|cotton|silk|leather|rubber|plastic|glass|concrete|petrol|oxygen|mustard|vinegar|pasta|a pancake|a waffle
"""
THINGS_ZH = """
桌子|音乐|量子物理|独角兽|比特币|股市|斑马|潜水艇|莎士比亚|爵士乐|象棋|吉他|足球|经济|笔记本|税法|黑洞|气候变化|进化论|区块链|瑜伽|功夫|护照|保险|哲学|拖拉机|歌剧|
机器学习|神经网络|基因|恐龙|金字塔|拿破仑|爱因斯坦|莫扎特|房贷|数学|扑克|巫师|长颈鹿|癌症|哈利波特|直升机|核能|宗教|宇宙飞船|键盘|铅笔|葡萄酒|啤酒|寿司|披萨|企鹅|
锤子|网球|电|磁铁|政治|沙发|勺子|椅子|热力学|递归|代词|袋鼠|鲸鱼|老虎|蝴蝶|台灯|手机|市场营销|唐诗|红楼梦|孙悟空|高铁|春节|火锅|奥运会|世界杯|
梯子|水桶|蜡烛|镜子|枕头|毯子|地毯|窗帘|抽屉|钱包|项链|戒指|皇冠|宝剑|城堡|隧道|灯塔|沙漠|冰川|火山|地震|台风|彗星|银河|原子|分子|引力|通货膨胀|民主|正义|友谊|勇气|
牙医|飞行员|侦探|海盗|幽灵|龙|无人机|卫星|激光|显微镜|温度计|计算器|打印机|照相机|小号|鼓|笛子|小说|报纸|博物馆|体育场|药店|章鱼|水母|鳄鱼|刺猬|松鼠|猫头鹰|鸽子|蚊子|
蘑菇|仙人掌|郁金香|竹子|棉花|丝绸|皮革|橡胶|塑料|混凝土|汽油|氧气|芥末|醋|饺子|月饼|豆浆|麻将|太极拳|京剧|书法|长城|兵马俑|微信|地铁
"""
TASKS = """
install Linux on my laptop|fix a flat tyre|repair a washing machine|build a house|fly a plane|bake a wedding cake|play the piano|sew a dress|start a company|
get a visa|invest in stocks|train a dog to dance|win at poker|lose ten pounds|find a job in Berlin|write a novel|sail a boat|knit a scarf|file my taxes|
buy a used car|grow tomatoes on the moon|learn to swim|run a marathon|build a robot|draw a horse|speak to a crowd|become famous|fix my printer|reset my router|
paint a fence|catch a fish|dance the tango|plan a trip to Rome|rent a flat|teach chess|brew beer|train a neural network|connect to a database|scrape a website|
parse JSON|draw a chart|send an email|build a web server|sort a table by two columns|compress a video|solve an equation|make a game|open a bank account|
apply to college|cut my hair|iron a shirt|pitch a tent|climb a mountain|ask someone out|quit smoking|fix a leaking tap|hang a picture|wrap a gift|make sushi|
renew my passport|change a light bulb|clean a carpet|polish my shoes|sharpen a knife|build a bird house|plant a hedge|prune roses|mow the lawn|chop wood|
light a barbecue|bake bread|cook rice|make jam|roast a turkey|peel a mango|open a coconut|pack a suitcase|book a flight|read a map|ride a horse|ski|
skateboard|juggle|whistle|play the violin|tune a guitar|sing better|write a song|take a good photo|edit a film|record a podcast|design a logo|
format a disk|back up my phone|set up a router|delete my account|translate a letter|write a will|adopt a cat|bathe a dog|milk a cow|shear a sheep|
stop snoring|fall asleep faster|get rid of hiccups|treat a burn|put on a bandage|tie a tie|fold a map|sell my car|rent a boat|pay a fine|vote by mail|
reverse a matrix|draw a fractal|plot a sine wave|parse an address|encrypt a message|resize an image|download a page|call an interface|train a classifier
"""
TASKS_ZH = """
安装操作系统|修轮胎|修洗衣机|盖房子|开飞机|做婚礼蛋糕|弹钢琴|缝衣服|创办公司|办签证|炒股|训练小狗跳舞|减肥十斤|在北京找工作|写小说|开船|织围巾|报税|买二手车|学游泳|跑马拉松|
造机器人|画马|演讲|出名|修打印机|刷墙|钓鱼|跳舞|计划旅行|租房子|下象棋|酿啤酒|训练神经网络|连接数据库|抓取网页|解方程|做游戏|开银行账户|申请大学|剪头发|熨衬衫|搭帐篷|爬山|戒烟|
修水龙头|挂画|包礼物|做寿司|发邮件|压缩视频|换灯泡|洗地毯|擦皮鞋|磨刀|种玫瑰|剪草坪|劈柴|烤面包|做果酱|剥芒果|收拾行李|订机票|看地图|骑马|滑雪|玩滑板|吹口哨|拉小提琴|
调吉他|写歌|拍好照片|剪电影|录播客|设计标志|格式化硬盘|备份手机|设置路由器|注销账号|写遗嘱|领养小猫|给狗洗澡|挤牛奶|剪羊毛|不打呼噜|快点睡着|止住打嗝|处理烫伤|包扎伤口|
打领带|卖汽车|租船|交罚款|投票|求逆矩阵|画分形|画正弦曲线|加密消息|缩放图片|下载网页|训练分类器|包饺子|打太极拳|写毛笔字
"""
WORDS = """
elephant|computer|mountain|butterfly|kitchen|window|happiness|freedom|car|train|river|chair|table|shoe|garden|king|queen|doctor|butter|sugar|pencil|
umbrella|spider|green|blue|yellow|seven|eleven|run|swim|beautiful|tomorrow|yesterday|island|horse|cow|sheep|chicken|onion|potato|hospital|airport|money|
music|dream|rain|wind|cloud|brother|sister|uncle|aunt|baby|teacher|student|lawyer|bicycle|ship|bridge|church|street|bottle|glass|spoon|
knife|fork|plate|cup|pillow|blanket|candle|mirror|ladder|hammer|needle|thread|button|coat|shirt|sock|glove|scarf|ring|crown|sword|castle|tower|forest|
desert|valley|beach|wave|sand|stone|gold|silver|iron|paper|letter|story|song|dance|game|toy|ball|kite|boat|plane|ticket|hotel|market|shop|bank|library|
museum|farmer|soldier|baker|pilot|nurse|judge|thief|ghost|dragon|wizard|bear|wolf|fox|rabbit|mouse|snake|frog|duck|goose|eagle|owl|bee|ant|worm|whale|
shark|leaf|root|branch|grass|rose|corn|rice|honey|salt|pepper|soup|cheese|wine|orange|purple|brown|grey|pink|two|three|nine|twelve|hundred|jump|write|
read|sing|laugh|cry|forget|remember|hungry|thirsty|angry|lonely|clever|strange|famous|yellowish|wooden|golden|monday|january|winter|autumn|midnight
"""
WORDS_ZH = """
山|蝴蝶|厨房|窗户|幸福|自由|汽车|火车|河|椅子|桌子|鞋子|花园|国王|医生|黄油|糖|铅笔|雨伞|蜘蛛|绿色|跑步|游泳|漂亮|明天|昨天|马|牛|羊|鸡|洋葱|土豆|医院|机场|钱|音乐|
梦|雨|风|云|兄弟|姐姐|叔叔|婴儿|学生|律师|自行车|船|教堂|街道|瓶子|勺子|刀|叉子|盘子|杯子|枕头|毯子|蜡烛|镜子|梯子|锤子|针|线|纽扣|外套|衬衫|袜子|手套|围巾|戒指|皇冠|
宝剑|城堡|塔|森林|沙漠|山谷|海滩|波浪|沙子|石头|黄金|银子|铁|纸|信|故事|歌|舞蹈|游戏|玩具|球|风筝|飞机|票|酒店|市场|商店|银行|图书馆|博物馆|农民|士兵|面包师|飞行员|护士|
法官|小偷|幽灵|龙|巫师|熊|狼|狐狸|兔子|老鼠|蛇|青蛙|鸭子|鹅|老鹰|蜜蜂|蚂蚁|虫子|鲸鱼|鲨鱼|叶子|树根|树枝|草|玫瑰|玉米|米饭|蜂蜜|盐|胡椒|汤|奶酪|葡萄酒|紫色|棕色|灰色|
粉色|二|三|九|一百|跳|写|读|唱歌|笑|哭|忘记|记得|饥饿|口渴|生气|孤独|聪明|奇怪|有名|木头|星期一|一月|冬天|秋天|半夜
"""
LANGUAGES = "Japanese|Russian|Latin|Klingon|Arabic|Turkish|Korean|Dutch|Polish|Greek|Hindi|Swahili|Swedish|Finnish|Portuguese|Hebrew|Elvish|Danish"
LANGUAGES_ZH = "日语|俄语|拉丁语|阿拉伯语|土耳其语|韩语|荷兰语|波兰语|希腊语|印地语|瑞典语|葡萄牙语|泰语|越南语|芬兰语"

FREE = (
    "What is the weather today?|Will it rain tomorrow?|What time is it?|What day is it today?|Who won the game last night?|Who is the president?|"
    "Who won the world cup?|What is the meaning of life?|How old is the universe?|How far away is the moon?|How tall is Mount Everest?|Who wrote Hamlet?|"
    "When did the war end?|How many people live in China?|What is your favourite film?|Which phone should I buy?|What should I cook tonight?|"
    "Can you book a table for me?|Call my mother|Play some music|Set an alarm for seven|What is the price of gold?|Should I quit my job?|Am I sick?|"
    "What does my dream mean?|Write a poem about autumn|Write an essay about freedom|Summarise this article|Fix my code|What happened in 1848?|"
    "Who invented the telephone?|What is the fastest animal?|How deep is the ocean?|Why is the sky so high?|Why do cats purr?|Do you believe in ghosts?|"
    "What will happen next year?|Give me the latest news|What is the best football team?|Is there life on other planets?|How do planes fly?|"
    "What is the square root of 16?|What is 2 to the power of 10?|What is pi?|Solve x + 3 = 7|What is ten percent of 50?|How many stars are there?|"
    "Who is the richest person in the world?|Where can I buy shoes?|What is my age?|Where do I live?|What did I eat today?|What am I thinking?|"
    "Can you see me?|Open the window|Send an email to Tom|Tell me a secret|What is the tallest building?|Which bus goes to the station?|"
    "What is the population of Paris?|Recommend a good book|How much does a house cost?|Why did she leave me?|Who is your father?|What is love?|"
    "asdf|qwerty|blah blah|lol|hmm|???|...|abc|test|1234567|x|why?|what?|and then?|when?|where?|who?|why not?|because|maybe|what else?|explain|more"
).split("|")
FREE_ZH = (
    "今天天气怎么样？|明天会下雨吗？|现在几点了？|今天星期几？|昨晚谁赢了比赛？|总统是谁？|谁赢了世界杯？|人生的意义是什么？|宇宙有多大？|月亮离我们多远？|珠穆朗玛峰有多高？|"
    "红楼梦是谁写的？|战争什么时候结束的？|中国有多少人口？|你最喜欢的电影是什么？|我该买哪个手机？|今晚吃什么？|帮我订个座位|给我妈妈打电话|放点音乐|黄金多少钱？|我该辞职吗？|"
    "我是不是生病了？|我的梦是什么意思？|写一首关于秋天的诗|写一篇作文|总结这篇文章|帮我改代码|1848年发生了什么？|谁发明了电话？|最快的动物是什么？|海有多深？|猫为什么会打呼噜？|"
    "你相信鬼吗？|明年会发生什么？|有什么新闻？|哪支球队最好？|外星人存在吗？|飞机为什么会飞？|圆周率是多少？|天上有多少颗星？|世界上最有钱的人是谁？|哪里可以买鞋？|我几岁了？|"
    "我住在哪里？|你能看见我吗？|打开窗户|告诉我一个秘密|最高的楼是哪座？|去车站坐哪路车？|推荐一本好书|房子多少钱？|她为什么离开我？|什么是爱？|高考怎么准备？|附近有什么好吃的？|"
    "啊|嗯|哦|哈哈|为什么？|然后呢？|还有呢？|什么？|随便|测试|谁？|哪里？|什么时候？|怎么了？|讲讲历史|唱首歌|画一幅画|背一首唐诗"
).split("|")
TALK = (
    "Tell me about {x}.|What do you think about {x}?|Who invented {x}?|Explain {x}|How does {x} work?|Why is {x} important?|Do you like {x}?|Where can I find {x}?|"
    "How much is {x}?|Give me facts about {x}|What is the history of {x}?|Is {x} good for me?|Write a poem about {x}|When was {x} invented?|Can you recommend {x}?|"
    "I want to talk about {x}|How old is {x}?|What is the best {x}?|Describe {x}|What are the benefits of {x}?|Compare {x} and {y}|Is {x} better than {y}?|"
    "How many kinds of {x} are there?|Who is the best at {x}?|Why do people like {x}?|What happens with {x} next year?|I love {x}|I bought {x} yesterday"
).split("|")
TALK_ZH = (
    "说说{x}|你觉得{x}怎么样？|谁发明了{x}？|解释{x}|{x}的原理是什么？|{x}为什么重要？|你喜欢{x}吗？|哪里能找到{x}？|{x}多少钱？|{x}的历史是什么？|{x}对我好吗？|写一首关于{x}的诗|"
    "{x}是什么时候发明的？|推荐一下{x}|我想聊聊{x}|最好的{x}是哪个？|描述一下{x}|{x}有什么好处？|{x}和{y}哪个好？|有多少种{x}？|人们为什么喜欢{x}？|我昨天买了{x}"
).split("|")


def near_miss(domain: Domain, rng: Random, *, held_out: bool) -> str:
    """A question that looks like one of `domain` but asks for what no table holds. The domain must name its `subject`."""
    row = dict(rng.choice(domain.rows))
    if domain.name == "translation" and rng.random() < 0.3:
        row["language"] = _draw(LANGUAGES if domain.language == "en" else LANGUAGES_ZH, rng, held_out)
    else:
        known = {row[domain.subject].casefold() for row in domain.rows}
        asked_for = row[domain.subject]
        while row[domain.subject].casefold() in known:
            row[domain.subject] = _stranger(domain, asked_for, rng, held_out)
    row["bare"] = row[domain.subject].removeprefix("a ").removeprefix("an ").removeprefix("the ")
    return domain.question(row, rng, held_out=held_out and rng.random() < 0.5)


def free_topic(language: str, rng: Random, *, held_out: bool) -> str:
    """A question about anything at all."""
    if rng.random() < 0.5:
        return _draw(FREE if language == "en" else FREE_ZH, rng, held_out)
    things = THINGS if language == "en" else THINGS_ZH
    x = invented(language, rng) if rng.random() < 0.2 else _draw(things, rng, held_out)
    text = _draw(TALK if language == "en" else TALK_ZH, rng, held_out and rng.random() < 0.5)
    return text.format(x=x, y=_draw(things, rng, held_out))


def invented(language: str, rng: Random) -> str:
    """A word nobody has ever used."""
    if language == "zh":
        return "".join(rng.choice("阿巴卡达拉姆诺帕奇萨塔维亚佐布克洛马尼格鲁特斯") for _ in range(rng.randint(2, 4)))
    word = "".join(rng.choice(_STARTS) + rng.choice(_MIDDLES) for _ in range(rng.randint(1, 2))) + rng.choice(_ENDS)
    return word.capitalize() if rng.random() < 0.6 else word


def spliced(words: list[str], rng: Random) -> str:
    """The beginning of one word and the end of another: nearer to what is known than what is made of syllables."""
    first, last = rng.choice(words), rng.choice(words)
    return first[: -(-len(first) // 2)] + last[len(last) // 2 :]


def misspelt(word: str, rng: Random) -> str:
    """The word with one or two letters wrong."""
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(1, len(word))
        letter = rng.choice("abcdefghiklmnoprstuvwyz")
        kind = rng.randrange(4)
        if kind == 0:
            word = word[:at] + letter + word[at:]
        elif kind == 1 and len(word) > 4:
            word = word[:at] + word[at + 1 :]
        elif kind == 2:
            word = word[:at] + word[at - 1] + word[at:]
        else:
            word = word[:at] + letter + word[at + 1 :]
    return word


def _stranger(domain: Domain, known: str, rng: Random, held_out: bool) -> str:
    chinese = domain.language == "zh"
    if domain.name == "arithmetic":
        return big_sum(rng, chinese=chinese)
    chance = rng.random()
    if chance < 0.18:
        return invented(domain.language, rng)
    if chance < 0.3:
        return spliced([row[domain.subject] for row in domain.rows], rng)
    if (
        chance < 0.36
        and not chinese
        and len(known) > 3
        and domain.name in ("capitals", "places", "opposites", "translation")
    ):
        return misspelt(known, rng)
    pools = {
        "capitals": (PLACES, PLACES_ZH),
        "places": (PLACES, PLACES_ZH),
        "opposites": (WORDS, WORDS_ZH),
        "translation": (WORDS, WORDS_ZH),
        "how-to": (TASKS, TASKS_ZH),
        "code": (TASKS, TASKS_ZH),
    }
    return _draw(pools.get(domain.name, (THINGS, THINGS_ZH))[chinese], rng, held_out)


def big_sum(rng: Random, *, chinese: bool) -> str:
    """A sum beyond what the policy learns."""
    sign = rng.choice("+ 加 - 减 × 乘 ÷ 除以".split() if chinese else "+ plus - minus * x times / by".split())
    sign = {"by": "divided by"}.get(sign, sign)
    low, high = rng.choice(((30, 99), (100, 999), (1000, 9999)))
    a, b = rng.randint(low, high), rng.choice((rng.randint(low, high), rng.randint(2, 99)))
    if rng.random() < 0.3 and sign not in ("-", "minus", "减", "/", "divided by", "÷", "除以"):
        a, b = b, a
    if rng.random() < 0.12:
        b, c = rng.randint(1, 99), rng.randint(1, 99)
        return f"{rng.randint(1, 99)}{sign}{b}{sign}{c}" if chinese else f"{rng.randint(1, 99)} {sign} {b} {sign} {c}"
    if rng.random() < 0.06:
        return f"{rng.randint(1, 99)}.{rng.randint(1, 9)} {sign} {b}"
    if chinese or (len(sign) == 1 and rng.random() < 0.4):
        return f"{a}{sign}{b}"
    return f"{a} {sign} {b}"


def _draw(pool: str | list[str], rng: Random, held_out: bool) -> str:
    items = pool if isinstance(pool, list) else [item.strip() for item in pool.strip().split("|")]
    while True:
        at = rng.randrange(len(items))
        if (at % 5 == 4) == held_out:
            return items[at]
